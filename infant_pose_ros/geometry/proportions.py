"""Infants or adults: what the proportions of a body say.

An infant's head is a quarter of its length, an adult's an eighth, and its limbs are short. The
lifter knows infants alone: what it makes of an adult's body is bent in ways of its own, so that
proportions in the picture and in space together tell more than either.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from infant_pose_ros.skeleton import Joint

#: Ends of the segments that are compared; of two, the longer one counts: it is less foreshortened.
SEGMENTS = MappingProxyType({
    'head': ((Joint.UPPER_NECK, Joint.HEAD_TOP),),
    'head_and_neck': ((Joint.THORAX, Joint.HEAD_TOP),),
    'trunk': ((Joint.PELVIS, Joint.THORAX),),
    'thigh': ((Joint.R_HIP, Joint.R_KNEE), (Joint.L_HIP, Joint.L_KNEE)),
    'shin': ((Joint.R_KNEE, Joint.R_ANKLE), (Joint.L_KNEE, Joint.L_ANKLE)),
    'upper_arm': ((Joint.R_SHOULDER, Joint.R_ELBOW), (Joint.L_SHOULDER, Joint.L_ELBOW)),
    'forearm': ((Joint.R_ELBOW, Joint.R_WRIST), (Joint.L_ELBOW, Joint.L_WRIST)),
    'shoulders': ((Joint.R_SHOULDER, Joint.L_SHOULDER),),
    'hips': ((Joint.R_HIP, Joint.L_HIP),),
})
_PAIRS = tuple(pairs[side] for side in (0, -1) for pairs in SEGMENTS.values())
_FROM, _TO = (np.array(ends, int) for ends in zip(*_PAIRS))
#: A segment seen end on counts as this share of the mean one.
_SHORTEST = 0.05

# Logistic regression on 565 rendered infants (stills and training sequences) against 259 rendered
# and 372 photographed adults, all as the bundled networks read them; rows: in the picture, in
# space; columns: SEGMENTS. Standardised values are cut at +-2.5, so that no odd one decides.
_MEAN = np.array([
    [-0.41, 0.06, 0.24, 0.17, 0.03, -0.25, -0.23, -0.35, -1.07],
    [-0.38, 0.17, 0.25, 0.18, -0.02, -0.22, -0.20, -0.11, -0.69]])
_STD = np.array([
    [0.26, 0.27, 0.19, 0.20, 0.28, 0.19, 0.24, 0.61, 0.63],
    [0.09, 0.08, 0.08, 0.07, 0.13, 0.10, 0.17, 0.23, 0.21]])
_WEIGHT = np.array([
    [0.19, 2.53, -0.69, 0.45, 0.21, -0.69, 0.02, 0.71, 0.41],
    [0.81, -0.23, 0.21, -0.17, 0.14, 0.45, 0.39, 0.40, 2.28]])
_BIAS = -1.7
_CUT = 2.5


def proportions(keypoints: np.ndarray) -> np.ndarray:
    """Logarithms of the lengths of `SEGMENTS`, as shares of their root mean square.

    Args:
        keypoints: (..., 16, D) in any unit, NaN where missing.

    Returns:
        (..., 9), NaN where the segment is missing on both sides.
    """
    points = np.asarray(keypoints, dtype=np.float64)
    lengths = np.linalg.norm(points[..., _FROM, :] - points[..., _TO, :], axis=-1)
    count = len(SEGMENTS)
    longer = np.fmax(lengths[..., :count], lengths[..., count:])
    rest = longer[..., 1:]      # the head is part of the head and neck
    known = np.isfinite(rest)
    square = np.where(known, rest, 0.0) ** 2
    mean = np.sqrt(square.sum(axis=-1) / np.maximum(known.sum(axis=-1), 1))
    with np.errstate(invalid='ignore', divide='ignore'):
        return np.log(np.maximum(longer / mean[..., None], _SHORTEST))


def infant_log_odds(keypoints_px: np.ndarray, keypoints_m: np.ndarray | None) -> float:
    """How much more likely a body is an infant's than an adult's, a logarithm.

    0 tells nothing, above 0 speaks for an infant. A segment that is missing says nothing.

    Args:
        keypoints_px: (16, 2) in the picture, NaN where missing.
        keypoints_m: (16, 3) lifted, anywhere in space; None where it could not be lifted.
    """
    if keypoints_m is None:
        keypoints_m = np.full((len(keypoints_px), 3), np.nan)
    shares = np.stack([proportions(keypoints_px), proportions(keypoints_m)])
    standard = np.clip((shares - _MEAN) / _STD, -_CUT, _CUT)
    known = np.isfinite(standard)
    known_share = np.abs(_WEIGHT[known]).sum() / np.abs(_WEIGHT).sum()
    return float((_WEIGHT[known] * standard[known]).sum() + _BIAS * known_share)
