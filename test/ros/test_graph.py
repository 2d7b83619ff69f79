import pytest
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from waiting import wait_until

from infant_pose_ros.ros.graph import publishers_of, subscriptions_of
from infant_pose_ros.ros.image_input import FollowingSubscription, ImageInput

RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT


@pytest.fixture
def make_node(probe):
    """Makes a node with these remaps and parameters."""
    import rclpy
    nodes = []

    def make(remaps=(), **parameters):
        rules = [part for remap in remaps for part in ('-r', remap)]
        nodes.append(rclpy.create_node(
            f'remapped_{len(nodes)}', context=probe.context,
            cli_args=['--ros-args', *rules] if rules else None, parameter_overrides=[
                Parameter(name.replace('__', '.'), value=value)
                for name, value in parameters.items()]))
        return nodes[-1]
    yield make
    for node in nodes:
        node.destroy_node()


@pytest.fixture
def publish(probe):
    """Makes a publisher, which goes with the test."""
    made = []

    def make(topic, reliability=RELIABLE, message_type=Image):
        made.append(probe.node.create_publisher(
            message_type, topic, QoSProfile(depth=1, reliability=reliability)))
    yield make
    for publisher in made:
        probe.node.destroy_publisher(publisher)


def test_who_publishes_and_subscribes(make_node, publish, probe):
    node, inbox = make_node(), probe.node.create_subscription(
        Image, '/graph/image', lambda _: None, 1)
    publish('/graph/image', BEST_EFFORT)
    wait_until(lambda: publishers_of(node, '/graph/image')
               and subscriptions_of(node, '/graph/image'), 'not found')
    (sends,), (listens,) = (publishers_of(node, '/graph/image'),
                            subscriptions_of(node, '/graph/image'))
    assert (sends.node_name, sends.topic_type) == ('probe', 'sensor_msgs/msg/Image')
    assert sends.qos_profile.reliability == BEST_EFFORT
    assert (listens.node_name, listens.node_namespace) == ('probe', '/')
    assert publishers_of(node, '/nobody') == subscriptions_of(node, '/nobody') == []
    probe.node.destroy_subscription(inbox)


def test_a_resolved_name_is_not_remapped_again(make_node, publish):
    node = make_node(['image:=/camera/image_rw'])       # mistyped
    publish('/image')
    wait_until(lambda: node.count_publishers('/image'), 'not found')
    images = ImageInput(node, 'raw', 'auto', lambda _: None)
    assert images.topic == '/camera/image_rw' and images.offered() == []
    assert ('/image', 'raw') in images.image_topics()


def test_cameras_whose_names_are_swapped_follow_their_own_publishers(make_node, publish):
    node = make_node(['left/image:=/right/image', 'right/image:=/left/image'])
    publish('/left/image', BEST_EFFORT)
    publish('/right/image', RELIABLE)
    wait_until(lambda: node.count_publishers('/left/image')
               and node.count_publishers('/right/image'), 'not found')
    offered = {}
    for name in ('left/image', 'right/image'):
        following = FollowingSubscription(node, Image, name, 'auto', lambda _: None)
        offered[following.topic] = following.offered()
    assert offered == {'/left/image': [BEST_EFFORT], '/right/image': [RELIABLE]}


def test_the_override_of_the_reliability_can_not_change_while_the_node_runs(make_node):
    name = 'qos_overrides./image.subscription.reliability'
    node = make_node(**{name: 'best_effort'})
    FollowingSubscription(node, CameraInfo, 'image', 'auto', lambda _: None)
    descriptor = node.describe_parameter(name)
    assert descriptor.read_only and '/image' in descriptor.description
    (result,) = node.set_parameters([Parameter(name, value='bset_effort')])
    assert not result.successful and node.get_parameter(name).value == 'best_effort'
