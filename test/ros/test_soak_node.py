"""Short soaks with real nodes; what fails a run is tested with made-up records elsewhere."""

from __future__ import annotations

import json

import numpy as np
import pytest

from infant_pose_ros.errors import EncodingError
from infant_pose_ros.nodes.soak_node import main, make_parser
from infant_pose_ros.ros.images import decode_image
from infant_pose_ros.ros.soak_compare import Comparison, comparison_json, comparison_table
from infant_pose_ros.ros.soak_faults import KINDS
from infant_pose_ros.ros.soak_ledger import COUNTED, EpochAccount
from infant_pose_ros.ros.soak_pictures import damaged, in_encodings
from infant_pose_ros.ros.soak_props import make_props

MODULE = 'infant_pose_ros.nodes.soak_node'


def test_some_faults_and_an_interrupt(ros_domain, node_process, weights, tmp_path):
    """Slow machines may recover late; but every picture must be accounted for."""
    pose = [word for name, path in weights.items() for word in ('--pose', f'{name}:={path}')]
    with node_process(MODULE, args=(
            '--minutes', '5', '--seed', '3', '--rate', '10', '--out', tmp_path,
            '--kinds', 'garbage_pictures,reset', *pose), env=ros_domain) as process:
        process.wait_for_log(' garbage_pictures  ', 150.0)
        process.wait_for_log(' reset  ', 60.0)
        process.interrupt()
        code = process.wait(60.0)
        output = process.output
    told = json.loads((tmp_path / 'soak.json').read_text(encoding='utf-8'))
    assert told['seed'] == 3 and told['interrupted'] and ', interrupted' in output
    assert {fault['kind'] for fault in told['faults']} >= {'garbage_pictures', 'reset'}
    (account,) = told['accounts'].values()
    assert account['uncounted'] == 0 and account['published'] > 50
    assert account['answered'] > 0.3 * account['published']
    assert {life['node'] for life in told['lives']} == {
        'pose_node', 'overlay_node', 'camera_node'}
    assert code == (0 if told['passed'] else 1), output
    assert ('passed' if told['passed'] else 'FAILED') in output and 'Traceback' not in output


@pytest.mark.parametrize('arguments', [
    ['--kinds', 'earthquake'], ['--kinds', ','], ['--cameras', '0'], ['--cameras', 'two'],
    ['--compare-cameras', '1,99']])
def test_bad_options_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2 and 'expected' in capsys.readouterr().err


def test_options():
    options = make_parser().parse_args(['--kinds', 'reset, four_k', '--compare-cameras', '1,2'])
    assert options.kinds == ['reset', 'four_k'] and options.compare_cameras == (1, 2)
    assert make_parser().parse_args([]).kinds == list(KINDS)


def test_pictures_of_its_own(tmp_path):
    props = make_props(tmp_path)
    assert len(props.other_sources) == len({rate for _, rate in props.other_sources})
    images = [image for image, _ in zip(in_encodings(props.pictures_rgb), range(5), strict=False)]
    assert len({image.encoding for image in images}) == 5
    for image, picture in zip(images, props.pictures_rgb, strict=False):
        decoded = decode_image(image).astype(int)
        # Grey is the same for all; colours come back as they were.
        if 'mono' in image.encoding:
            decoded, picture = decoded.mean(axis=2), picture.mean(axis=2)
        assert np.abs(decoded - picture).mean() < 12
    for image in damaged(props.pictures_rgb[0]):
        with pytest.raises(EncodingError):
            decode_image(image)


def compared(*answered, counted=0):
    """Cameras that sent 100 pictures each in 10 s and had so many answered."""
    counts = dict.fromkeys(COUNTED, 0) | {'frames_dropped': counted}
    accounts = {f'cam{number}': EpochAccount(100, count, 0, 100 - count, counts)
                for number, count in enumerate(answered, 1)}
    return Comparison(10.0 * len(answered), {name: account.answered / 10.0
                                             for name, account in accounts.items()},
                      30.0, 50.0, accounts, 0.5)


def test_a_comparison():
    one, two = compared(100), compared(80, 40, counted=60)
    assert (one.total_hz, two.total_hz, two.fairness) == (10.0, 12.0, 0.5)
    lines = comparison_table([one, two]).splitlines()
    assert lines[2].split()[:7] == ['2', '20.0', '12.0', '1.20', '4.0', '8.0', '0.500']
    assert two.problems() == [] and comparison_json([two])[0]['fairness'] == 0.5
    (problem,) = compared(100, 90, counted=0).problems()
    assert '2 cameras, cam2' in problem and '10 of them not counted' in problem
