"""pose_node and overlay_node on a camera's topics, with RViz if asked for."""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import (
    EnvironmentVariable,
    LaunchConfiguration,
    PathJoinSubstitution,
    PythonExpression,
)
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

PACKAGE = 'infant_pose_ros'
CONFIG = PathJoinSubstitution([FindPackageShare(PACKAGE), 'config'])

# Name, default and description. An empty default leaves the choice to params_file.
ARGUMENTS = (
    ('image', '/{camera}/image', 'Topic of the camera pictures: as the camera takes them, not '
     "rectified, for CameraInfo's K and D describe those. {camera} stands for the name of each of "
     "several cameras; without several it stands for 'camera'."),
    ('camera_info', '/{camera}/camera_info', 'Topic of their CameraInfo.'),
    ('depth', '/{camera}/depth', 'Topic of the depth pictures registered to them, for use_depth.'),
    ('cameras', '', "Names of several cameras for one pose_node, 'left,right' say."),
    ('image_transport', '', "'raw' or 'compressed' (then <image>/compressed is subscribed to)."),
    ('camera_name', '', 'Name of the camera in markers and diagnostics: one for each camera.'),
    ('namespace', '', 'Namespace of the nodes: one for each camera.'),
    ('params_file', PathJoinSubstitution([CONFIG, 'infant_pose.yaml']),
     'Parameters of the nodes; the arguments given here win over it.'),
    ('use_sim_time', '', 'Take the time from /clock: for a bag played with --clock.'),
    ('device', '', "Where the networks run: 'auto', 'cpu', 'cuda' or 'cuda:N'."),
    ('body_length_m', '', 'Crown to heel length of the infant, m: the scale of 3D.'),
    ('age_months', '', 'Its age, for the scale where no length is known.'),
    ('use_depth', '', 'Correct 3D by the depth pictures.'),
    ('max_age_ms', '', 'Older frames are dropped, ms; 0 keeps all.'),
    ('overlay', 'true', 'Draw the skeleton over the pictures (overlay_node).'),
    ('rviz', 'false', 'Start RViz.'),
    ('fixed_frame', 'camera_optical_frame', "RViz's fixed frame: the pictures' frame_id."),
    ('enclaves', '', "SROS 2: path that the nodes' enclaves have in common, '/infant_pose' by the "
     "package's policy; each node takes the one of its name (docs/security.md)."),
    ('use_fastdds_profile', 'true',
     'Let Fast DDS carry raw pictures without loss (config/fastdds.xml); a profile named in the '
     'environment wins.'),
)
# Arguments that set a parameter of that name, with its type.
POSE_PARAMETERS = (
    ('cameras', str), ('image_transport', str), ('camera_name', str), ('use_sim_time', bool),
    ('device', str), ('body_length_m', float), ('age_months', float), ('use_depth', bool),
    ('max_age_ms', float))
OVERLAY_PARAMETERS = (('image_transport', str), ('use_sim_time', bool))
RVIZ_PARAMETERS = (('use_sim_time', bool),)


def given(context, parameters):
    """The arguments that aren't empty, as the last of a node's `parameters`.

    launch_ros writes them under the node's full name, after params_file: so they win over a
    file that begins with `/**:`, which they would not as `-p name:=value`.
    """
    values = {name: ParameterValue(LaunchConfiguration(name), value_type=value_type)
              for name, value_type in parameters if context.launch_configurations[name]}
    return [values] if values else []


def full_namespace(context):
    """The namespace of the nodes as one path: '' or '/ward'."""
    namespace = context.launch_configurations['namespace']
    if not namespace.startswith('/'):
        namespace = context.launch_configurations.get('ros_namespace', '') + '/' + namespace
    return ''.join('/' + part for part in namespace.split('/') if part)


def enclave(context, name):
    """ROS arguments that give a node its enclave, where `enclaves` is given; else none."""
    path = context.launch_configurations['enclaves'].strip('/')
    return ['--enclave', f'/{path}/{name}'] if path else []


def camera_topics(context, camera):
    """A camera's topics by the names that the nodes have for them; '' is the only camera."""
    topics = {}
    for name in ('image', 'camera_info', 'depth'):
        topic = context.launch_configurations[name]
        if camera and '{camera}' not in topic:
            raise ValueError(f'{name}: {topic!r} is one topic, and there are several cameras: '
                             'write {camera} where their names belong')
        if camera and not topic.startswith('/'):
            topic = f'{full_namespace(context)}/{topic}'
        topics[name] = topic.replace('{camera}', camera or 'camera')
    return {**topics, 'image/compressed': topics['image'] + '/compressed'}


def overlay_node(context, camera):
    """Draws over the pictures of one camera, in a namespace of its own; '' is the only one."""
    topics, start = camera_topics(context, camera), full_namespace(context)
    poses = f'{start}/pose_node/{camera}' if camera else 'pose_node'
    return Node(
        package=PACKAGE, executable='overlay_node', name='overlay_node', output='screen',
        namespace=f'{start}/{camera}' if camera else LaunchConfiguration('namespace'),
        parameters=[context.launch_configurations['params_file'],
                    *given(context, OVERLAY_PARAMETERS)],
        ros_arguments=enclave(context, f'{camera}/overlay_node' if camera else 'overlay_node'),
        remappings=[*((name, topics[name]) for name in ('image', 'image/compressed')),
                    *((name, f'{poses}/{name}') for name in ('keypoints', 'keypoints_raw'))],
        condition=IfCondition(LaunchConfiguration('overlay')))


def make_nodes(context):
    """The nodes, now that the arguments are known; RViz shows the first camera."""
    params_file = context.launch_configurations['params_file']
    if not Path(params_file).is_file():
        raise FileNotFoundError(f'params_file: there is no file {params_file}')
    namespace = LaunchConfiguration('namespace')
    cameras = [name.strip() for name in context.launch_configurations['cameras'].split(',')]
    start = f'{cameras[0]}/' if cameras[0] else ''
    return [
        Node(package=PACKAGE, executable='pose_node', name='pose_node', namespace=namespace,
             output='screen', parameters=[params_file, *given(context, POSE_PARAMETERS)],
             ros_arguments=enclave(context, 'pose_node'),
             remappings=[(f'{camera}/{name}' if camera else name, topic) for camera in cameras
                         for name, topic in camera_topics(context, camera).items()]),
        *(overlay_node(context, camera) for camera in cameras),
        Node(package='rviz2', executable='rviz2', name='rviz', namespace=namespace,
             parameters=given(context, RVIZ_PARAMETERS), ros_arguments=enclave(context, 'viewer'),
             arguments=['-d', PathJoinSubstitution([CONFIG, 'infant_pose.rviz']),
                        '-f', LaunchConfiguration('fixed_frame')],
             remappings=[('/camera/image', camera_topics(context, cameras[0])['image']),
                         ('/overlay_node/image', f'{start}overlay_node/image'),
                         ('/pose_node/markers', f'pose_node/{start}markers'),
                         ('/pose_node/keypoints', f'pose_node/{start}keypoints')],
             condition=IfCondition(LaunchConfiguration('rviz')))]


def fastdds_profile(variable, condition):
    """Name the package's profile in the environment, unless one is named already."""
    profile = PathJoinSubstitution([CONFIG, 'fastdds.xml'])
    return SetEnvironmentVariable(
        variable, EnvironmentVariable(variable, default_value=profile),
        condition=IfCondition(condition))


def generate_launch_description():
    """Arguments, environment and nodes."""
    use_profile = LaunchConfiguration('use_fastdds_profile')
    is_old_fastdds = PythonExpression([
        "'", use_profile, "'.lower() in ('true', '1') and '",
        EnvironmentVariable('ROS_DISTRO', default_value=''), "' in ('humble', 'jazzy')"])
    return LaunchDescription([
        *(DeclareLaunchArgument(name, default_value=default, description=description)
          for name, default, description in ARGUMENTS),
        fastdds_profile('FASTDDS_DEFAULT_PROFILES_FILE', use_profile),
        fastdds_profile('FASTRTPS_DEFAULT_PROFILES_FILE', is_old_fastdds),
        OpaqueFunction(function=make_nodes),
    ])
