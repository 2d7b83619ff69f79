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
    ('image', '/camera/image', 'Topic of the camera pictures: as the camera takes them, not '
     "rectified, for CameraInfo's K and D describe those."),
    ('camera_info', '/camera/camera_info', 'Topic of their CameraInfo.'),
    ('depth', '/camera/depth', 'Topic of the depth pictures registered to them, for use_depth.'),
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
    ('use_fastdds_profile', 'true',
     'Let Fast DDS carry raw pictures without loss (config/fastdds.xml); a profile named in the '
     'environment wins.'),
)
# Arguments that set a parameter of that name, with its type.
POSE_PARAMETERS = (
    ('image_transport', str), ('camera_name', str), ('use_sim_time', bool), ('device', str),
    ('body_length_m', float), ('age_months', float), ('use_depth', bool), ('max_age_ms', float))
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


def make_nodes(context):
    """The nodes, now that the arguments are known."""
    params_file = context.launch_configurations['params_file']
    if not Path(params_file).is_file():
        raise FileNotFoundError(f'params_file: there is no file {params_file}')
    image, namespace = LaunchConfiguration('image'), LaunchConfiguration('namespace')
    pictures = [('image', image), ('image/compressed', [image, '/compressed'])]
    return [
        Node(package=PACKAGE, executable='pose_node', name='pose_node', namespace=namespace,
             output='screen', parameters=[params_file, *given(context, POSE_PARAMETERS)],
             remappings=[*pictures, *((name, LaunchConfiguration(name))
                                      for name in ('camera_info', 'depth'))]),
        Node(package=PACKAGE, executable='overlay_node', name='overlay_node',
             namespace=namespace, output='screen',
             parameters=[params_file, *given(context, OVERLAY_PARAMETERS)],
             remappings=[*pictures, ('keypoints', 'pose_node/keypoints'),
                         ('keypoints_raw', 'pose_node/keypoints_raw')],
             condition=IfCondition(LaunchConfiguration('overlay'))),
        Node(package='rviz2', executable='rviz2', name='rviz', namespace=namespace,
             parameters=given(context, RVIZ_PARAMETERS),
             arguments=['-d', PathJoinSubstitution([CONFIG, 'infant_pose.rviz']),
                        '-f', LaunchConfiguration('fixed_frame')],
             remappings=[('/camera/image', image), ('/overlay_node/image', 'overlay_node/image'),
                         ('/pose_node/markers', 'pose_node/markers'),
                         ('/pose_node/keypoints', 'pose_node/keypoints')],
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
