import numpy as np
import pytest

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.geometry.boxes import box_around, box_iou, expand_box


def test_iou_of_known_boxes():
    boxes = [[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 40]]
    overlaps = box_iou(boxes[:2], boxes)
    assert overlaps.shape == (2, 3)
    # 5 x 10 shared of 100 + 100 - 50.
    np.testing.assert_allclose(overlaps, [[1, 1 / 3, 0], [1 / 3, 1, 0]])


def test_iou_of_nested_and_touching_boxes():
    assert box_iou([[0, 0, 4, 4]], [[1, 1, 3, 3]])[0, 0] == pytest.approx(4 / 16)
    assert box_iou([[0, 0, 4, 4]], [[4, 0, 8, 4]])[0, 0] == 0


def test_iou_of_empty_boxes_is_zero_and_finite():
    assert box_iou([[3, 3, 3, 3]], [[3, 3, 3, 3]])[0, 0] == 0
    assert box_iou(np.zeros((0, 4)), [[0, 0, 1, 1]]).shape == (0, 1)
    assert box_iou([[0, 0, 1, 1]], []).shape == (1, 0)


def test_iou_refuses_other_shapes():
    with pytest.raises(InvalidInputError, match=r'\(N, 4\)'):
        box_iou([[0, 0, 1]], [[0, 0, 1, 1]])


def test_box_around_leaves_missing_points_out():
    points = [[3, 9], [np.nan, 100], [-2, 4], [100, np.inf], [1, 5]]
    np.testing.assert_array_equal(box_around(points), [-2, 4, 3, 9])


def test_no_box_around_fewer_than_two_points():
    assert box_around([[1, 2], [np.nan, np.nan]]) is None
    assert box_around(np.zeros((0, 2))) is None


def test_expand_box_keeps_the_middle():
    np.testing.assert_allclose(expand_box([10, 20, 30, 60], 1.5), [5, 10, 35, 70])
    np.testing.assert_allclose(expand_box(expand_box([1, 2, 3, 5], 4), 0.25), [1, 2, 3, 5])


@pytest.mark.parametrize('scale', [0, -1, np.nan])
def test_expand_box_refuses_scales_that_leave_nothing(scale):
    with pytest.raises(InvalidInputError, match='scale'):
        expand_box([0, 0, 1, 1], scale)
