import math

import numpy as np
import pytest

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.filtering.scale import (
    BodyScales,
    combined_scale,
    known_scale,
    Scale,
    ScaleEstimator,
)

ASSUMED = Scale(0.60, 0.15, 'assumed')


def test_what_the_settings_tell():
    assert known_scale(PipelineSettings(body_length_m=0.7)) == (0.7, 0.01, 'given')
    assert known_scale(PipelineSettings(age_months=2.0)) == (
        pytest.approx(0.577461), 0.04, 'age')
    assert known_scale(PipelineSettings()) == (0.60, 0.15, 'assumed')


def test_a_measurement_and_the_prior_are_weighed_by_their_variances():
    both = combined_scale(Scale(0.60, 0.04, 'age'), 0.66)     # equal weights: geometric mean
    assert both.length_m == pytest.approx(math.sqrt(0.60 * 0.66))
    assert both.relative_std == pytest.approx(0.04 / math.sqrt(2))
    assert both.origin == 'estimated'
    assert combined_scale(ASSUMED, 0.72).length_m == pytest.approx(0.72, rel=0.015)


def test_the_first_measurement_counts_at_once_and_then_nothing_jumps():
    estimator = ScaleEstimator(ASSUMED)
    rng = np.random.default_rng(1)
    lengths = []
    for frame in range(600):
        measured_m = 0.70 * math.exp(rng.normal(0, 0.05)) if frame % 10 else 1.4
        estimator.observe(frame / 30, measured_m)
        lengths.append(estimator.scale.length_m)
    assert estimator.scale.origin == 'estimated'
    assert np.abs(np.diff(np.log(lengths))).max() <= 0.02 / 30 + 1e-12
    first = combined_scale(ASSUMED, 1.4).length_m
    assert lengths[0] == pytest.approx(first)
    slow = ScaleEstimator(ASSUMED)
    for frame in range(6000):
        slow.observe(frame / 30, 0.70)
    assert slow.scale.length_m == pytest.approx(combined_scale(ASSUMED, 0.70).length_m, rel=1e-6)


def test_outliers_hardly_move_the_median():
    clean, dirty = ScaleEstimator(ASSUMED), ScaleEstimator(ASSUMED)
    for frame in range(3000):
        clean.observe(frame / 30, 0.65)
        dirty.observe(frame / 30, 2.0 if frame % 30 in (3, 6) else 0.65)
    assert dirty.scale.length_m == pytest.approx(clean.scale.length_m, rel=1e-3)


def test_a_given_length_is_final():
    estimator = ScaleEstimator(Scale(0.55, 0.01, 'given'))
    estimator.observe(0.0, 0.8)
    assert estimator.scale == (0.55, 0.01, 'given')


def test_each_infant_has_its_own_length_and_keeps_it():
    scales = BodyScales(PipelineSettings())
    assert scales.of(None) == scales.of(1) == ASSUMED
    assert not scales.is_known(1)
    scales.observe(1, 0.0, 0.55)
    scales.observe(2, 0.0, 0.75)
    assert scales.is_known(1) and not scales.is_known(3)
    assert scales.of(1).length_m < 0.56 and scales.of(2).length_m > 0.73
    assert scales.of(3) == ASSUMED
    scales.update_settings(PipelineSettings(detect_every=7))
    assert scales.is_known(1)
    scales.update_settings(PipelineSettings(body_length_m=0.5))
    assert scales.of(1) == (0.5, 0.01, 'given') and scales.is_known(9)


def test_forgotten_infants_are_the_oldest_ones():
    scales = BodyScales(PipelineSettings())
    for track in range(1, 101):
        scales.observe(track, 0.0, 0.7)
    assert not scales.is_known(36) and scales.is_known(37) and scales.is_known(100)
    scales.forget()
    assert not scales.is_known(100)


def test_who_is_measured_still_is_not_forgotten_for_those_who_come_and_go():
    scales = BodyScales(PipelineSettings())
    for other in range(2, 101):
        scales.observe(1, other / 10, 0.7)
        scales.observe(other, other / 10, 0.6)
    assert scales.is_known(1) and not scales.is_known(2)


def test_the_distance_that_depth_told_fades_without_depth():
    scales = BodyScales(PipelineSettings())
    assert scales.distance_factor(1) == scales.distance_factor(None) == 1.0
    scales.note_distance_factors({1: 1.05, 2: None})
    assert scales.distance_factor(1) == pytest.approx(1.05)
    assert scales.distance_factor(2) == 1.0
    scales.note_distance_factors({1: 1.10})
    assert scales.distance_factor(1) == pytest.approx(1.06)     # a fifth of the way
    scales.note_distance_factors({1: None})
    assert scales.distance_factor(1) == pytest.approx(1.0594)   # a hundredth less
    scales.note_distance_factors({3: None})
    assert scales.distance_factor(1) == pytest.approx(1.058806)     # hidden: no jump back
    for _ in range(500):
        scales.note_distance_factors({3: None})
    assert scales.distance_factor(1) == 1.0
