"""Records what pose_node tells, with CameraInfo and diagnostics, and no picture: ros2 bag record.

The topics are named one by one, so that no picture is recorded whatever else is published.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction

# Name, default and description.
ARGUMENTS = (
    ('pose_node', '/pose_node', 'Full name of the pose_node.'),
    ('cameras', '', 'Names of its cameras, separated by commas, where it has several.'),
    ('camera_info', '/camera/camera_info', "Topics of the cameras' CameraInfo, separated by "
     'commas; empty records none.'),
    ('output', '', 'Folder of the bag; by default rosbag2_ and the time.'),
    ('use_sim_time', 'false', 'Record by /clock, and /clock as well.'),
)
# Topics of a camera, under the node's name; keypoints_raw is only published while it is recorded.
OUTPUTS = ('keypoints', 'keypoints_raw', 'poses', 'joint_states', 'skeleton_info')
ALWAYS = ('/diagnostics', '/tf', '/tf_static')


def names_in(text):
    """'left,right' -> ['left', 'right']."""
    return [name.strip() for name in text.split(',') if name.strip()]


def topics(given):
    """What is recorded with these arguments (name -> value)."""
    node = '/' + given['pose_node'].strip('/')
    cameras = names_in(given['cameras'])
    places = [f'{node}/{camera}' for camera in cameras] or [node]
    simulated = ['/clock'] if given['use_sim_time'].lower() in ('true', '1') else []
    return [*(f'{place}/{output}' for place in places for output in OUTPUTS),
            *names_in(given['camera_info']), *ALWAYS, *simulated]


def make_recorder(context):
    """The recorder, now that the arguments are known."""
    given = {name: context.launch_configurations[name] for name, _, _ in ARGUMENTS}
    recorded = topics(given)
    command = ['ros2', 'bag', 'record']
    if given['output']:
        command += ['--output', given['output']]
    if '/clock' in recorded:
        command.append('--use-sim-time')
    # Humble takes the topics bare, newer versions would rather have --topics; all take them bare.
    return [ExecuteProcess(cmd=[*command, *recorded], output='screen', sigterm_timeout='30',
                           sigkill_timeout='60')]


def generate_launch_description():
    """Arguments and the recorder."""
    return LaunchDescription([
        *(DeclareLaunchArgument(name, default_value=default, description=description)
          for name, default, description in ARGUMENTS),
        OpaqueFunction(function=make_recorder)])
