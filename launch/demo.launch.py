"""infant_pose.launch.py on a video, pictures, a bag or a webcam in place of a camera."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

PACKAGE = 'infant_pose_ros'
SHARE = FindPackageShare(PACKAGE)

# Name, default and description. An empty default leaves the choice to params_file. The other
# arguments of infant_pose.launch.py can be given as well.
ARGUMENTS = (
    ('source', '', 'Video file, folder of pictures, bag or webcam; by default the bundled clip.'),
    ('rate_hz', '', "Pictures a second; by default the source's own rate."),
    ('loop', '', 'Begin again at the end of the source.'),
    ('rviz', 'true', 'Start RViz.'),
    ('params_file', PathJoinSubstitution([SHARE, 'config', 'infant_pose.yaml']),
     'Parameters of the nodes; the arguments given here win over it.'),
)
# Arguments that set a parameter of that name, with its type.
CAMERA_PARAMETERS = (('source', str), ('rate_hz', float), ('loop', bool))


def make_camera(context):
    """The camera node, now that the arguments are known; it waits for those who look on."""
    given = {name: ParameterValue(LaunchConfiguration(name), value_type=value_type)
             for name, value_type in CAMERA_PARAMETERS if context.launch_configurations[name]}
    has_overlay = context.launch_configurations.get('overlay', 'true').lower() in ('true', '1')
    enclaves = context.launch_configurations.get('enclaves', '').strip('/')
    return [Node(package=PACKAGE, executable='camera_node', name='camera_node',
                 namespace='/camera', output='screen',
                 ros_arguments=['--enclave', f'/{enclaves}/camera_node'] if enclaves else [],
                 parameters=[LaunchConfiguration('params_file'),
                             {'wait_for_subscribers': 1 + has_overlay, **given}])]


def generate_launch_description():
    """The rest of the launch and a camera; RViz gets a frame to hang the camera on."""
    return LaunchDescription([
        *(DeclareLaunchArgument(name, default_value=default, description=description)
          for name, default, description in ARGUMENTS),
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(
                PathJoinSubstitution([SHARE, 'launch', 'infant_pose.launch.py'])),
            launch_arguments={'image': '/camera/image', 'camera_info': '/camera/camera_info',
                              'rviz': LaunchConfiguration('rviz'),
                              'params_file': LaunchConfiguration('params_file')}.items()),
        OpaqueFunction(function=make_camera),
        # z forward, x right, y down for the optics; x forward, z up for the camera's housing.
        Node(package='tf2_ros', executable='static_transform_publisher', name='camera_mount',
             arguments=['--frame-id', 'camera_link', '--child-frame-id', 'camera_optical_frame',
                        '--qx', '-0.5', '--qy', '0.5', '--qz', '-0.5', '--qw', '0.5'],
             condition=IfCondition(LaunchConfiguration('rviz'))),
    ])
