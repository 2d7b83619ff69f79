"""pose_node and overlay_node on a camera's topics, with RViz if asked for."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import (
    EnvironmentVariable,
    LaunchConfiguration,
    PathJoinSubstitution,
    PythonExpression,
)
from launch_ros.actions import Node, PushRosNamespace, SetParameter, SetParametersFromFile
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

PACKAGE = 'infant_pose_ros'
CONFIG = PathJoinSubstitution([FindPackageShare(PACKAGE), 'config'])

# Name, default and description. An empty default leaves the choice to params_file.
ARGUMENTS = (
    ('image', '/camera/image', 'Topic of the camera pictures.'),
    ('camera_info', '/camera/camera_info', 'Topic of their CameraInfo.'),
    ('image_transport', '', "'raw' or 'compressed' (then <image>/compressed is subscribed to)."),
    ('namespace', '', 'Namespace of the nodes: one for each camera.'),
    ('params_file', PathJoinSubstitution([CONFIG, 'infant_pose.yaml']),
     'Parameters of the nodes.'),
    ('device', '', "Where the networks run: 'auto', 'cpu', 'cuda' or 'cuda:N'."),
    ('body_length_m', '', 'Crown to heel length of the infant, m: the scale of 3D.'),
    ('age_months', '', 'Its age, for the scale where no length is known.'),
    ('overlay', 'true', 'Draw the skeleton over the pictures (overlay_node).'),
    ('rviz', 'false', 'Start RViz.'),
    ('fixed_frame', 'camera_optical_frame', "RViz's fixed frame: the pictures' frame_id."),
    ('use_fastdds_profile', 'true',
     'Let Fast DDS carry raw pictures without loss (config/fastdds.xml); a profile named in the '
     'environment wins.'),
)
# Arguments that set a parameter of that name, with its type.
POSE_PARAMETERS = (('image_transport', str), ('device', str), ('body_length_m', float),
                   ('age_months', float))
OVERLAY_PARAMETERS = (('image_transport', str),)


def set_where_given(parameters):
    """A SetParameter for each argument, which acts where the argument isn't empty."""
    return [SetParameter(
        name, ParameterValue(LaunchConfiguration(name), value_type=value_type),
        condition=IfCondition(PythonExpression(["'", LaunchConfiguration(name), "' != ''"])))
        for name, value_type in parameters]


def fastdds_profile(variable, condition):
    """Name the package's profile in the environment, unless one is named already."""
    profile = PathJoinSubstitution([CONFIG, 'fastdds.xml'])
    return SetEnvironmentVariable(
        variable, EnvironmentVariable(variable, default_value=profile),
        condition=IfCondition(condition))


def generate_launch_description():
    """Arguments, environment and nodes."""
    image, camera_info = LaunchConfiguration('image'), LaunchConfiguration('camera_info')
    pictures = [('image', image), ('image/compressed', [image, '/compressed'])]
    use_profile = LaunchConfiguration('use_fastdds_profile')
    is_old_fastdds = PythonExpression([
        "'", use_profile, "'.lower() in ('true', '1') and '",
        EnvironmentVariable('ROS_DISTRO', default_value=''), "' in ('humble', 'jazzy')"])
    parameters = SetParametersFromFile(LaunchConfiguration('params_file'))
    return LaunchDescription([
        *(DeclareLaunchArgument(name, default_value=default, description=description)
          for name, default, description in ARGUMENTS),
        fastdds_profile('FASTDDS_DEFAULT_PROFILES_FILE', use_profile),
        fastdds_profile('FASTRTPS_DEFAULT_PROFILES_FILE', is_old_fastdds),
        GroupAction([
            PushRosNamespace(LaunchConfiguration('namespace')),
            parameters,
            *set_where_given(POSE_PARAMETERS),
            Node(package=PACKAGE, executable='pose_node', name='pose_node', output='screen',
                 remappings=[*pictures, ('camera_info', camera_info)]),
        ]),
        GroupAction([
            PushRosNamespace(LaunchConfiguration('namespace')),
            parameters,
            *set_where_given(OVERLAY_PARAMETERS),
            Node(package=PACKAGE, executable='overlay_node', name='overlay_node',
                 output='screen', remappings=[
                     *pictures, ('keypoints', 'pose_node/keypoints'),
                     ('keypoints_raw', 'pose_node/keypoints_raw')],
                 condition=IfCondition(LaunchConfiguration('overlay'))),
        ]),
        GroupAction([
            PushRosNamespace(LaunchConfiguration('namespace')),
            Node(package='rviz2', executable='rviz2', name='rviz', arguments=[
                '-d', PathJoinSubstitution([CONFIG, 'infant_pose.rviz']),
                '-f', LaunchConfiguration('fixed_frame')],
                remappings=[('/camera/image', image),
                            ('/overlay_node/image', 'overlay_node/image'),
                            ('/pose_node/markers', 'pose_node/markers'),
                            ('/pose_node/keypoints', 'pose_node/keypoints')],
                condition=IfCondition(LaunchConfiguration('rviz'))),
        ]),
    ])
