import csv

import numpy as np
import pytest
from scipy.io import savemat

from infant_pose_ros.errors import DatasetError, InvalidInputError
from infant_pose_ros.evaluation.coverage import (
    features,
    measure_coverage,
    nearest_distances,
    overlap,
    read_infant_labels,
    RealPoses,
    segment_reaches,
    SEGMENTS,
    trunk_vectors,
    write_coverage,
    yardstick_distances,
)
from infant_pose_ros.skeleton import Joint

NAMES = list(SEGMENTS)


def a_pose(scale=1.0, turn_rad=0.0):
    """An infant seen from the front, crown up in the picture, trunk 10 px long."""
    points = np.zeros((16, 2))
    places = {
        Joint.PELVIS: (0, 0), Joint.THORAX: (0, -10), Joint.HEAD_TOP: (0, -18),
        Joint.L_SHOULDER: (3, -10), Joint.R_SHOULDER: (-3, -10), Joint.L_ELBOW: (7, -10),
        Joint.R_ELBOW: (-7, -10), Joint.L_WRIST: (7, -14), Joint.R_WRIST: (-11, -10),
        Joint.L_HIP: (2, 0), Joint.R_HIP: (-2, 0), Joint.L_KNEE: (2, 5), Joint.R_KNEE: (-5, 0),
        Joint.L_ANKLE: (2, 10), Joint.R_ANKLE: (-2, 0)}
    for joint, place in places.items():
        points[joint] = place
    cos, sin = np.cos(turn_rad), np.sin(turn_rad)
    return scale * points @ np.array([[cos, sin], [-sin, cos]]) + 50.0


def test_trunk_vectors_do_not_depend_on_place_size_and_heading():
    vectors = trunk_vectors(np.stack([a_pose(), a_pose(3.0, 2.1)]))
    assert vectors[0] == pytest.approx(vectors[1])
    assert vectors[0, NAMES.index('head')] == pytest.approx([0.8, 0.0])
    assert vectors[0, NAMES.index('upper_arm.L')] == pytest.approx([0.0, 0.4])
    assert vectors[0, NAMES.index('upper_arm.R')] == pytest.approx([0.0, -0.4])
    assert vectors[0, NAMES.index('thigh.L')] == pytest.approx([-0.5, 0.0])


def test_features_by_hand():
    found = features(trunk_vectors(a_pose()[None]))
    assert found['upper_arm direction'] == pytest.approx([90.0, 90.0])
    assert found['forearm direction'] == pytest.approx([0.0, 90.0])
    assert found['elbow bend'] == pytest.approx([90.0, 0.0], abs=1e-3)
    assert found['knee bend'] == pytest.approx([0.0, 180.0], abs=1e-3)
    assert found['shin length'] == pytest.approx([0.5, 0.3])


def test_reaches_are_of_both_sides_together():
    reaches = segment_reaches(trunk_vectors(np.stack([a_pose()] * 20)))
    assert reaches[NAMES.index('shin.L')] == reaches[NAMES.index('shin.R')] == pytest.approx(0.5)
    vectors = np.full((3, 9, 2), np.nan)
    assert np.isnan(segment_reaches(vectors)).all()


def test_nearest_distance_is_the_root_mean_square_over_the_segments_that_are_there():
    pose, near, far = np.zeros((9, 2)), np.full((9, 2), 0.3), np.full((9, 2), 1.0)
    assert nearest_distances(pose[None], np.stack([far, near])) == pytest.approx(
        [0.3 * np.sqrt(2)])
    pose[:2] = np.nan
    near[2] = 0.0
    assert nearest_distances(pose[None], near[None]) == pytest.approx(
        [np.sqrt(6 * 0.18 / 7)])
    pose[:4] = np.nan  # five are too few
    assert np.isnan(nearest_distances(pose[None], near[None])).all()


def test_the_yardstick_never_compares_an_infant_with_itself():
    vectors = np.repeat(np.stack([np.zeros((9, 2)), np.full((9, 2), 0.5)]), 3, 0)
    distances, size = yardstick_distances(vectors, np.array(['a'] * 3 + ['b'] * 3))
    assert distances == pytest.approx([0.5 * np.sqrt(2)] * 6)
    assert size == 3


def test_overlap_of_equal_and_of_separate_values():
    values = np.linspace(0, 1, 50)
    assert overlap(values, values)[:2] == pytest.approx((1.0, 1.0))
    assert overlap(values, values + 5.0)[:2] == pytest.approx((0.0, 0.0))
    with pytest.raises(InvalidInputError, match='0 real'):
        overlap(np.full(3, np.nan), values)


def test_poses_that_are_the_real_ones_cover_them_and_the_files_are_written(tmp_path):
    rng = np.random.default_rng(0)
    points = np.stack([a_pose() for _ in range(24)]) + rng.normal(0, 0.6, (24, 16, 2))
    real = RealPoses(points, np.repeat(np.arange(6).astype(str), 4))
    coverage = measure_coverage(real, points)
    assert coverage.rows['real to generated, all: median distance'] == pytest.approx(0.0)
    assert coverage.rows['real frames'] == 24
    assert coverage.rows['knee bend: common area'] == pytest.approx(1.0)
    elsewhere = measure_coverage(real, points[:, ::-1] * [1.0, 0.3])
    assert elsewhere.rows['real to generated, all: median distance'] > 0.3
    write_coverage(coverage, tmp_path / 'out')
    assert (tmp_path / 'out' / 'coverage.png').stat().st_size > 10_000
    with (tmp_path / 'out' / 'coverage.csv').open(encoding='utf-8') as file:
        rows = dict(csv.reader(file))
    assert rows['real infants'] == '6'


def test_nothing_to_compare_is_refused():
    real = RealPoses(np.full((2, 16, 2), np.nan), np.array(['a', 'b']))
    with pytest.raises(InvalidInputError, match='whole trunk'):
        measure_coverage(real, a_pose()[None])


def test_one_infant_has_nobody_to_be_compared_with():
    points = np.stack([a_pose(), a_pose(2.0)])
    with pytest.raises(InvalidInputError, match='two or more real infants .* got 1'):
        measure_coverage(RealPoses(points, np.array(['a', 'a'])), points)


def labels_file(path, rows):
    dataset = np.empty(len(rows), dtype=[('image', 'O'), ('size', 'O'), ('joints', 'O')])
    for index, (name, joints) in enumerate(rows):
        cell = np.empty((1, 1), dtype=object)
        cell[0, 0] = np.array(joints)
        dataset[index] = (name, np.array([3, 480, 640]), cell)
    savemat(path, {'dataset': dataset})


def test_labels_are_read_into_the_common_keypoints(tmp_path):
    path = tmp_path / 'labels.mat'
    labels_file(path, [
        ('labeled-data/Participant_17_-_Video_1/img1.png',
         [[0, 5, 6], [1, 9, 9], [7, 10, 20], [14, 30, 40], [13, 1, 2]]),
        ('labeled-data/Participant_18_-_Video_2/img2.png', [[4, 1, 2], [10, 3, 3]])])
    real = read_infant_labels(path)
    assert real.infants.tolist() == ['17', '18']
    assert real.keypoints_px[0, Joint.HEAD_TOP].tolist() == [5, 6]
    assert real.keypoints_px[0, Joint.R_WRIST].tolist() == [1, 2]
    assert real.keypoints_px[0, Joint.PELVIS].tolist() == [20, 30]
    assert np.isnan(real.keypoints_px[0, Joint.THORAX]).all()
    assert np.isfinite(real.keypoints_px[1]).all(-1).sum() == 1  # eyes and toes are left out


def test_files_of_another_form_are_refused(tmp_path):
    with pytest.raises(DatasetError, match='none.mat'):
        read_infant_labels(tmp_path / 'none.mat')
    savemat(tmp_path / 'other.mat', {'a': 1})
    with pytest.raises(DatasetError, match='dataset'):
        read_infant_labels(tmp_path / 'other.mat')
    savemat(tmp_path / 'other.mat', {'dataset': np.zeros((2, 2))})
    with pytest.raises(DatasetError, match='fields image and joints'):
        read_infant_labels(tmp_path / 'other.mat')
    (tmp_path / 'empty.mat').write_bytes(b'')
    with pytest.raises(DatasetError, match='empty.mat'):
        read_infant_labels(tmp_path / 'empty.mat')
    labels_file(tmp_path / 'short.mat', [('a', [[0, 5]]), ('b', [[4, 1]])])
    with pytest.raises(DatasetError, match='short.mat: .* row 0'):
        read_infant_labels(tmp_path / 'short.mat')


def test_a_frame_without_labels_has_no_keypoints(tmp_path):
    labels_file(tmp_path / 'a.mat', [('a', np.zeros((0, 0))), ('b', [[4, 1, 2], [5, 3, 4]])])
    real = read_infant_labels(tmp_path / 'a.mat')
    assert np.isnan(real.keypoints_px[0]).all()
    assert real.keypoints_px[1, Joint.L_ELBOW].tolist() == [3, 4]
