import csv

import numpy as np
import pytest

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.evaluation import temporal, temporal_methods, temporal_report
from infant_pose_ros.evaluation.temporal import Results, TemporalBenchmark
from infant_pose_ros.evaluation.temporal_conditions import SIDES
from infant_pose_ros.evaluation.temporal_methods import KALMAN, RAW, scaled, Variant
from infant_pose_ros.evaluation.temporal_report import (
    dropout_table,
    front,
    front_lines,
    write_report,
)


def test_front_by_hand():
    points = np.array([[1, 5], [2, 3], [3, 3], [4, 1], [5, 2], [np.nan, 0], [2, 3]])
    assert front(points).tolist() == [True, True, False, True, False, False, True]
    assert front(np.zeros((0, 2))).tolist() == []


def test_scaled_settings_stay_in_their_range():
    settings = PipelineSettings()
    changed = scaled(settings, 2.0, 0.5)
    for name in temporal_methods.ACCELERATION_SETTINGS:
        assert getattr(changed, name) == pytest.approx(2 * getattr(settings, name))
    assert changed.smoothing_lag_ms == pytest.approx(settings.smoothing_lag_ms / 2)
    assert scaled(settings, 1.0) == settings
    assert scaled(settings, 1e12).acceleration_std_2d == 1e6


def test_variants_say_what_they_are():
    assert Variant(KALMAN, (1.0, 1.0)).text == 'default' and Variant(RAW).text == ''
    assert Variant(KALMAN, (0.5, 2.0)).text == 'acceleration x 0.5, lag x 2'
    assert Variant(temporal_methods.RTS, (0.5,)).text == 'acceleration x 0.5'
    assert Variant(temporal_methods.ONE_EURO, (1.0, 0.02)).text == '1 Hz, beta 0.02'
    assert Variant(temporal_methods.SAVGOL, (9, 2)).text == '9 frames, order 2'


def clean(results, variant, ajpe, jitter, delay, space='2d'):
    results.add('clean', variant, space, {11: {'ajpe': ajpe, 'jitter': jitter, 'delay': delay}})


def test_what_beats_the_default_is_told():
    results = Results()
    clean(results, Variant('truth'), 0.0, 0.0, 0.0)
    clean(results, Variant(KALMAN, (1.0, 1.0)), 5.0, 1000.0, 0.5)
    clean(results, Variant(KALMAN, (0.5, 1.0)), 4.0, 900.0, 1.2)       # truer, calmer, but late
    clean(results, Variant(temporal_methods.ONE_EURO, (1.0, 0.1)), 6.0, 1000.0, 0.4)    # earlier
    clean(results, Variant(temporal_methods.ONE_EURO, (2.0, 0.1)), 5.0, 1000.0, 0.5)    # equal
    clean(results, Variant(temporal_methods.RTS, (1.0,)), 1.0, 10.0, 0.0)       # not causal
    assert front_lines(results, '2d')[2:] == [
        '- calmer and truer: Kalman (acceleration x 0.5, lag x 1), delay 1.20',
        '- calmer and truer, with a delay of at most 1 frame: none',
        '- calmer and earlier: One-Euro (1 Hz, beta 0.1), delay 0.40']


def test_a_method_with_two_settings_has_both_in_its_name():
    results = Results()
    for space, parameters in (('2d', (1.0, 0.02)), ('3d', (4.0, 0.0))):
        variant = Variant(temporal_methods.ONE_EURO, parameters, (space,))
        results.chosen[variant.method, space] = variant
        results.add('dropouts of 5 frames', variant, space, {11: dict.fromkeys(
            ('extra', 'extra_aligned', 'error_clean', 'found', 'events'), 1.0)})
    (_, _, line) = dropout_table(results)
    assert line.startswith('| One-Euro (px: 1 Hz, beta 0.02; mm: 4 Hz, beta 0) | 5 |')


def test_the_whole_benchmark(make_recording, straight_lifter, monkeypatch, tmp_path):
    monkeypatch.setattr(temporal_methods, 'KALMAN_FACTORS', ((1.0, 1.0), (0.5, 1.0)))
    monkeypatch.setattr(temporal_methods, 'RTS_FACTORS', (1.0,))
    monkeypatch.setattr(temporal_methods, 'MIN_CUTOFFS_HZ', (1.0,))
    monkeypatch.setattr(temporal_methods, 'BETAS', {'2d': (0.01,), '3d': (5.0,)})
    monkeypatch.setattr(temporal_methods, 'WINDOWS', ((5, 2), (9, 2)))
    for module in (temporal, temporal_report):
        monkeypatch.setattr(module, 'SIDES', {'legs': SIDES['legs']})
        monkeypatch.setattr(module, 'SWAP_FRAMES', (3,))
    monkeypatch.setattr(temporal, 'DROPOUT_FRAMES', (5,))
    settings = PipelineSettings(body_length_m=0.6)
    told = []
    benchmark = TemporalBenchmark([(make_recording(110), settings)], straight_lifter, told.append,
                                  [(make_recording(180, 60.0), settings)])
    results = benchmark.run()
    assert told[0] == 'clean, video 11' and told[-1] == 'wandering rate, video 11'
    rows = {(row.variant.method, row.variant.parameters): row.figures
            for row in results.of('clean', '2d')}
    assert rows['truth', ()]['ajpe'] == 0.0
    raw, centred = rows[RAW, ()], rows[temporal_methods.SAVGOL, (9, 2)]
    assert raw['ajpe'] == pytest.approx(2.0 * np.sqrt(np.pi / 2), rel=0.03)     # Rayleigh's mean
    assert centred['jitter'] < raw['jitter'] / 4 and abs(centred['delay']) < 0.2
    assert rows[KALMAN, (1.0, 1.0)]['jitter'] < raw['jitter']
    costs = {row.variant.method: row.figures
             for row in results.of('dropouts of 5 frames', '2d')}
    assert costs[KALMAN]['extra'] < costs[RAW]['extra'] and costs[RAW]['events'] == 4 * 2
    swaps = {row.variant.method: row.figures
             for row in results.of('legs swapped for 3 frames', '2d')}
    assert swaps[RAW]['caught'] == 0.0

    text = write_report(results, ['Of a test.'], tmp_path)
    assert text == (tmp_path / 'temporal.md').read_text()
    for piece in ('Of a test.', '| raw |', f'| {KALMAN} (default) |', '| truth | 0.00 |',
                  '## Dropouts of a limb', '## Wandering rate', '- calmer and truer: ',
                  '*Savitzky-Golay, centred ('):
        assert piece in text
    for name in ('pareto_2d.png', 'pareto_3d.png'):
        assert (tmp_path / name).read_bytes().startswith(b'\x89PNG')
    with (tmp_path / 'temporal.csv').open() as file:
        table = list(csv.DictReader(file))
    assert {row['video'] for row in table} == {'11', 'all'}
    chosen = [row for row in table if (row['condition'], row['space'], row['video'],
                                       row['chosen']) == ('clean', '2d', 'all', '1')]
    assert sorted(row['method'] for row in chosen) == sorted(['truth', *temporal_methods.METHODS])
