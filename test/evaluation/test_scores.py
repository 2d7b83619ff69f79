import dataclasses

import numpy as np
import pytest

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.evaluation.predictions import Predictions
from infant_pose_ros.evaluation.scores import ADULT_JOINTS, CURVE_K, Scorer
from infant_pose_ros.skeleton import Joint

INF = np.inf


def perfect(pictures):
    made = Predictions.empty(len(pictures))
    made.keypoints_px[:] = pictures.stills.keypoints_px
    truth = pictures.stills.keypoints_m
    made.keypoints_m[:] = truth - truth[:, Joint.PELVIS, None]
    made.box_xyxy[:], made.box_score[:] = pictures.stills.box_xyxy, 0.9
    return made


def values(figures):
    return {name: ratio.value for name, ratio in figures.items()}


def test_the_truth_scores_best(pictures):
    scorer = Scorer(pictures)
    made = perfect(pictures)
    best = {'pckh1': 1, 'pckh2': 1, 'pck02': 1, 'found': 1, 'ajpe': 0, 'ajpe_charged': 0}
    assert values(scorer.of(scorer.errors_2d([made]))) == best
    assert values(scorer.of(scorer.errors_3d([made]))) == pytest.approx(best, abs=1e-9)
    assert values(scorer.boxes([made])) == {'iou': 1, 'found': 1, 'sure': 1}


def test_2d_by_hand(pictures):
    # The unit is 10 px; 12 frames of 16 keypoints are 192.
    made = perfect(pictures)
    made.keypoints_px[0, Joint.L_WRIST] += [9, 0]      # within one unit; never visible
    made.keypoints_px[1, Joint.R_KNEE] += [0, 15]      # within two
    made.keypoints_px[2, Joint.R_KNEE] += [30, 40]     # beyond
    made.keypoints_px[3, Joint.R_KNEE] = np.nan        # missing
    scorer = Scorer(pictures)
    errors = scorer.errors_2d([made])
    # The knee of frame 3 lies at (200 + 12 + 6, 160 + 9); the picture's middle is (319.5, 239.5).
    charged = np.hypot(319.5 - 218, 239.5 - 169)
    # Left shoulder (356, 187) to right hip (224, 178): 132.3 px, a fifth of it 26.5.
    found = values(scorer.of(errors))
    assert found == pytest.approx({
        'pckh1': 189 / 192, 'pckh2': 190 / 192, 'pck02': 190 / 192, 'found': 191 / 192,
        'ajpe': (9 + 15 + 50) / 191, 'ajpe_charged': (9 + 15 + 50 + charged) / 192})
    assert values(scorer.of(errors, visible_only=True))['ajpe'] == pytest.approx(65 / 179)
    knee = values(scorer.of(errors, joint=Joint.R_KNEE))
    assert knee['pckh1'] == pytest.approx(9 / 12) and knee['found'] == pytest.approx(11 / 12)
    adult = scorer.errors_2d([made], ADULT_JOINTS)
    assert np.isnan(adult.errors[..., [Joint.UPPER_NECK, Joint.HEAD_TOP]]).all()
    assert values(scorer.of(adult))['found'] == pytest.approx(167 / 168)
    curve = scorer.curve(errors)
    assert curve[0] == 0 and curve[20] == pytest.approx(189 / 192)      # k = 0 and 1
    assert CURVE_K[20] == pytest.approx(1.0) and curve[-1] == pytest.approx(190 / 192)


def test_3d_by_hand(pictures):
    # The unit is 20 mm.
    made = perfect(pictures)
    made.keypoints_m[4, Joint.R_ANKLE] += [0, 0, 0.019]
    made.keypoints_m[5, Joint.R_ANKLE] += [0.039, 0, 0]
    made.keypoints_m[6] = np.nan
    scorer = Scorer(pictures)
    found = values(scorer.of(scorer.errors_3d([made])))
    truth = pictures.stills.keypoints_m[6]
    away_mm = 1e3 * np.linalg.norm(truth - truth[Joint.PELVIS], axis=1).sum()
    assert {**found, 'pck02': 0} == pytest.approx({
        'pckh1': 175 / 192, 'pckh2': 176 / 192, 'pck02': 0, 'found': 176 / 192,
        'ajpe': 58 / 176, 'ajpe_charged': (58 + away_mm) / 192})


def test_boxes_by_hand(pictures):
    made = perfect(pictures)
    made.box_xyxy[0, 2] += 201      # twice as wide: IoU 1/2
    made.box_xyxy[1], made.box_score[1] = np.nan, np.nan
    made.box_score[2] = 0.4
    assert values(Scorer(pictures).boxes([made])) == pytest.approx(
        {'iou': (10 + 0.5) / 12, 'found': 11 / 12, 'sure': 10 / 12})


def test_a_frame_without_a_unit_is_left_out_of_pckh_alone(pictures):
    unit_px = pictures.unit_px.copy()
    unit_px[:6] = np.nan
    made = perfect(pictures)
    made.keypoints_px[0] += 100.0
    made.keypoints_px[6] += 100.0
    scorer = Scorer(dataclasses.replace(pictures, unit_px=unit_px))
    found = values(scorer.of(scorer.errors_2d([made])))
    assert found['pckh1'] == pytest.approx(5 / 6)
    assert found['ajpe'] == pytest.approx(100 * np.sqrt(2) / 6)


def test_seeds_are_averaged(pictures):
    good, bad = perfect(pictures), perfect(pictures)
    bad.keypoints_px[:] += [0.0, 12.0]
    scorer = Scorer(pictures)
    found = scorer.of(scorer.errors_2d([good, bad]))
    assert found['pckh1'].by_seed.tolist() == [1.0, 0.0]
    assert scorer.interval(found['ajpe']).value == pytest.approx(6.0)
    assert scorer.interval(found['ajpe']).spread == pytest.approx(12 / np.sqrt(2))


def test_the_worst_frames_come_first_one_of_each_block(pictures):
    made = perfect(pictures)
    made.keypoints_px[[2, 3, 8]] += np.array([30.0, 40.0, 10.0])[:, None, None]
    scorer = Scorer(pictures)
    assert scorer.worst_frames(scorer.errors_2d([made]), 12) == [3, 8]
    assert scorer.worst_frames(scorer.errors_2d([made]), 1) == [3]


def test_rows_of_other_frames_are_refused(pictures):
    scorer = Scorer(pictures)
    for seeds in ([], [Predictions.empty(11)], [perfect(pictures), Predictions.empty(13)]):
        for measure in (scorer.errors_2d, scorer.errors_3d, scorer.boxes):
            with pytest.raises(InvalidInputError, match='expected 12 frames'):
                measure(seeds)
