"""How long an infant is: what sets the scale of everything in metres."""

from __future__ import annotations

import math

import numpy as np

from infant_pose_ros.errors import InvalidInputError

#: Taken where neither length nor age is known: an infant of two to three months.
DEFAULT_BODY_LENGTH_M = 0.60
#: The growth table ends here; older children get the length at this age.
MAX_AGE_MONTHS = 24

# Median length for age, cm, at 0, 1, ... 24 completed months, lying down: WHO Child Growth
# Standards (2006).
_GIRLS_CM = np.array([
    49.1477, 53.6872, 57.0673, 59.8029, 62.0899, 64.0301, 65.7311, 67.2873, 68.7498, 70.1435,
    71.4818, 72.7710, 74.0150, 75.2176, 76.3817, 77.5099, 78.6055, 79.6710, 80.7079, 81.7182,
    82.7036, 83.6654, 84.6040, 85.5202, 86.4153])
_BOYS_CM = np.array([
    49.8842, 54.7244, 58.4249, 61.4292, 63.8860, 65.9026, 67.6236, 69.1645, 70.5994, 71.9687,
    73.2812, 74.5388, 75.7488, 76.9186, 78.0497, 79.1458, 80.2113, 81.2487, 82.2587, 83.2418,
    84.1996, 85.1348, 86.0477, 86.9410, 87.8161])
_MEDIAN_M = (_GIRLS_CM + _BOYS_CM) / 200


def body_length_from_age(age_months: float) -> float:
    """Median crown to heel length, m, of girls and boys together.

    Linear between the months of WHO's table, 0 to 24; beyond 24 months it stays at the last
    value, which is too short for an older child: give the measured length there.

    Raises:
        InvalidInputError: the age is negative or not finite.
    """
    if not (math.isfinite(age_months) and age_months >= 0):
        raise InvalidInputError(
            f'age_months: must be 0 or more, got {age_months}; for an infant born too early '
            'give body_length_m')
    return float(np.interp(age_months, np.arange(MAX_AGE_MONTHS + 1), _MEDIAN_M))


def resolve_body_length(body_length_m: float, age_months: float) -> tuple[float, str]:
    """The length to use, m, and where it comes from: 'given', 'age' or 'assumed'.

    Args:
        body_length_m: measured length, m; 0 means unknown.
        age_months: age, months; used where the length is unknown; -1 (any negative) means
            unknown.

    Raises:
        InvalidInputError: the length is negative, or one of the two is not finite.
    """
    if not (math.isfinite(body_length_m) and body_length_m >= 0):
        raise InvalidInputError(
            f'body_length_m: must be 0 (unknown) or more, got {body_length_m}; in metres')
    if not math.isfinite(age_months):
        raise InvalidInputError(f'age_months: must be finite, -1 for unknown, got {age_months}')
    if body_length_m > 0:
        return float(body_length_m), 'given'
    if age_months >= 0:
        return body_length_from_age(age_months), 'age'
    return DEFAULT_BODY_LENGTH_M, 'assumed'
