from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from infant_pose_ros.ros.qos import agreed_reliability, image_qos, latched_qos, marker_qos

RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT


def test_auto_is_reliable_where_every_publisher_is():
    assert agreed_reliability('auto', [RELIABLE, RELIABLE]) == RELIABLE
    assert agreed_reliability('auto', [RELIABLE, BEST_EFFORT]) == BEST_EFFORT
    assert agreed_reliability('auto', []) == RELIABLE


def test_a_given_reliability_is_kept():
    assert agreed_reliability('reliable', [BEST_EFFORT]) == RELIABLE
    assert agreed_reliability('best_effort', [RELIABLE]) == BEST_EFFORT


def test_profiles():
    assert image_qos(BEST_EFFORT).depth == 1 and marker_qos().depth == 1
    assert latched_qos().durability == DurabilityPolicy.TRANSIENT_LOCAL
