import numpy as np
import pytest

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.geometry.growth import (
    body_length_from_age,
    DEFAULT_BODY_LENGTH_M,
    resolve_body_length,
)


@pytest.mark.parametrize('age_months, length_m', [
    (0, 0.4951595),  # (49.1477 + 49.8842) / 2 cm
    (2, 0.577461),  # (57.0673 + 58.4249) / 2 cm
    (1.5, (53.6872 + 54.7244 + 57.0673 + 58.4249) / 400),
    (12, 0.748819), (24, 0.871157)])
def test_lengths_of_the_table(age_months, length_m):
    assert body_length_from_age(age_months) == pytest.approx(length_m, abs=1e-7)


def test_infants_grow_and_more_slowly():
    lengths = [body_length_from_age(age) for age in range(25)]
    growth = np.diff(lengths)
    assert (growth > 0).all()
    assert (np.diff(growth) < 0.0006).all()  # no slip of the pen in the table
    assert growth[0] > 5 * growth[-1]


def test_older_children_get_the_last_length():
    assert body_length_from_age(200) == body_length_from_age(24)


@pytest.mark.parametrize('age_months', [-1, -0.01, np.nan, np.inf])
def test_ages_that_are_none(age_months):
    with pytest.raises(InvalidInputError, match='age_months'):
        body_length_from_age(age_months)


def test_the_better_source_wins():
    assert resolve_body_length(0.7, 3) == (0.7, 'given')
    assert resolve_body_length(0.0, 2) == (pytest.approx(0.577461), 'age')
    assert resolve_body_length(0.0, 0) == (pytest.approx(0.4951595), 'age')
    assert resolve_body_length(0.0, -1) == (DEFAULT_BODY_LENGTH_M, 'assumed')


@pytest.mark.parametrize('length, age', [(-0.1, -1), (np.nan, 3), (0, np.nan)])
def test_bad_lengths_and_ages_are_refused(length, age):
    with pytest.raises(InvalidInputError):
        resolve_body_length(length, age)
