"""What the nodes open, publish and listen to, beside what the SROS 2 policy allows them."""

import os
from pathlib import Path
import re
import time
import xml.etree.ElementTree as ElementTree

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
import pytest
from rcl_interfaces.msg import Log, Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from sensor_msgs.msg import Image

from infant_pose_ros.ros.images import decode_image
from infant_pose_ros.ros.processes import config_file

ROOT = Path(__file__).resolve().parents[2]
POLICY = ROOT / 'config' / 'sros2' / 'infant_pose.policy.xml'
NODES = {'camera_node': '/camera', 'pose_node': '/', 'overlay_node': '/'}
INPUTS = {'image': '/camera/image', 'camera_info': '/camera/camera_info',
          'keypoints': '/pose_node/keypoints', 'keypoints_raw': '/pose_node/keypoints_raw'}
#: Not in Humble.
NEWER_SERVICES = {'get_type_description'}
IMAGE_TYPES = {'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'}
#: What is published is the background alone.
NOTHING_DRAWN = {'show_text': False, 'show_box': False, 'score_min': 1.0}
O_ACCMODE, O_RDONLY = 0o3, 0o0


@pytest.fixture(scope='module')
def home(tmp_path_factory):
    """The home folder of the nodes, empty at first."""
    return tmp_path_factory.mktemp('home')


@pytest.fixture(scope='module')
def logs(tmp_path_factory):
    """Where the nodes' logs go."""
    return tmp_path_factory.mktemp('logs')


@pytest.fixture(scope='module')
def nodes(ros_domain, node_process, weights, home, logs):
    """The three nodes as demo.launch.py connects them, kept to this machine: name -> process."""
    profile = str(config_file('fastdds_local.xml'))
    env = {'HOME': str(home), 'ROS_LOG_DIR': str(logs), 'FASTDDS_DEFAULT_PROFILES_FILE': profile,
           'FASTRTPS_DEFAULT_PROFILES_FILE': profile}

    def start(name, params):
        remaps = INPUTS if name != 'camera_node' else {'__ns': '/camera'}
        return node_process(f'infant_pose_ros.nodes.{name}', params=params, remaps=remaps, env=env)

    with start('camera_node', {'rate_hz': 10.0}) as camera, \
            start('pose_node', weights) as pose, start('overlay_node', NOTHING_DRAWN) as overlay:
        pose.wait_for_log('active: /camera/image')
        camera.wait_for_log('10 Hz')
        yield {'camera_node': camera, 'pose_node': pose, 'overlay_node': overlay}


@pytest.fixture(scope='module')
def at_work(nodes, probe):
    """The same, once pictures have gone all the way through."""
    overlays = probe.subscribe(Image, '/overlay_node/image', 5)
    overlays.wait_for(2, timeout_s=60.0)
    return nodes


# the policy

def resolved(name, namespace, node):
    """A name of the policy as SROS 2's templates read it."""
    if name.startswith('/'):
        return name
    base = namespace.rstrip('/')
    return f'{base}/{node}{name[1:]}' if name.startswith('~') else f'{base}/{name}'


def allowed():
    """{node: {'publish' | 'subscribe' | 'reply' | 'request': names}} of the policy."""
    rights = {}
    for profile in ElementTree.parse(POLICY).getroot().iter('profile'):
        node = profile.get('node')
        of_node = rights.setdefault(node, {})
        for group in profile:
            for kind, value in group.attrib.items():
                assert value == 'ALLOW'
                of_node.setdefault(kind, set()).update(
                    resolved(entry.text.strip(), profile.get('ns'), node) for entry in group)
    return rights


def used(probe, node, namespace):
    """The same of a node in the graph."""
    watcher = probe.node
    asked = {'publish': watcher.get_publisher_names_and_types_by_node,
             'subscribe': watcher.get_subscriber_names_and_types_by_node,
             'reply': watcher.get_service_names_and_types_by_node,
             'request': watcher.get_client_names_and_types_by_node}
    try:
        return {kind: {name for name, _ in ask(node, namespace)} for kind, ask in asked.items()}
    except RuntimeError:        # not found yet
        return {}


def once_known(look, expected, timeout_s=30.0):
    """What `look()` gives, once it is as expected: the graph gets known bit by bit."""
    deadline = time.monotonic() + timeout_s
    while (found := look()) != expected and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


@pytest.mark.parametrize(('node', 'namespace'), NODES.items())
def test_the_policy_allows_what_a_node_uses_and_no_more(at_work, probe, node, namespace):
    optional = {f'{namespace.rstrip("/")}/{node}/{name}' for name in NEWER_SERVICES}
    rights = {kind: names - optional for kind, names in allowed()[node].items()}

    def uses():
        return {kind: names - optional
                for kind, names in used(probe, node, namespace).items() if names}

    assert once_known(uses, rights) == rights
    assert used(probe, node, namespace)['reply'] <= allowed()[node]['reply']


def test_the_policy_has_the_shape_that_sros2_reads():
    # Comments matter here: sros2 takes each child of <enclaves> for an enclave.
    parser = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))
    root = ElementTree.parse(POLICY, parser).getroot()
    assert (root.tag, root.get('version')) == ('policy', '0.2.0')
    (enclaves,) = root
    paths = []
    for enclave in enclaves:
        assert enclave.tag == 'enclave'
        paths.append(enclave.get('path'))
        assert re.fullmatch(r'(/[a-z_]+)+', paths[-1])
    assert set(paths) == {f'/infant_pose/{name}'
                          for name in (*NODES, 'consumer', 'viewer', 'doctor')}
    for group in root.iter():
        if group.tag in ('topics', 'services'):
            names = [entry.text for entry in group if isinstance(entry.tag, str)]
            assert names and len(set(names)) == len(names) and '*' not in ''.join(names)


def test_the_policy_lets_the_doctor_look_and_change_nothing():
    rights = allowed()['infant_pose_doctor']
    pictures = {'/camera/image', '/overlay_node/image'}
    assert rights['subscribe'] == {*pictures, '/camera/camera_info', '/diagnostics', '/clock'}
    assert rights['publish'] == {'/parameter_events'}
    assert {name.rpartition('/')[2] for name in rights['request']} == {
        'get_state', 'get_parameters'}
    offered = allowed()['pose_node']['reply'] | allowed()['overlay_node']['reply']
    assert rights['request'] <= offered
    assert set(rights) == {'subscribe', 'publish', 'request'}


def test_only_the_camera_and_the_overlay_may_publish_pictures(at_work, probe):
    def pictures():
        found = {name: {end.node_name for end in probe.node.get_publishers_info_by_topic(name)}
                 for name, types in probe.node.get_topic_names_and_types()
                 if IMAGE_TYPES & set(types)}
        return {name: ends for name, ends in found.items() if ends}

    expected = {'/camera/image': {'camera_node'}, '/overlay_node/image': {'overlay_node'}}
    assert once_known(pictures, expected) == expected
    assert not any('image' in name for name in allowed()['pose_node']['publish'])
    assert '/camera/image' not in allowed()['pose_consumer']['subscribe'] | allowed()['rviz'][
        'subscribe']


# what is opened, told by /proc

def open_files(process):
    """(path, flags) of each descriptor of a process."""
    folder = Path('/proc') / str(process.process.pid)
    found = []
    for descriptor in (folder / 'fd').iterdir():
        try:
            flags = re.search(r'flags:\s+(\d+)', (
                folder / 'fdinfo' / descriptor.name).read_text())[1]
            found.append((os.readlink(descriptor), int(flags, 8)))
        except OSError:     # closed meanwhile
            continue
    return found


def socket_table(name, pid):
    """{inode: (address, port)} of one of the kernel's tables of sockets."""
    lines = (Path('/proc') / str(pid) / 'net' / name).read_text().splitlines()[1:]
    rows = [line.split() for line in lines]
    return {row[9]: (row[1].partition(':')[0], int(row[1].partition(':')[2], 16)) for row in rows}


@pytest.mark.parametrize('node', NODES)
def test_only_dds_listens_and_only_to_this_machine(at_work, ros_domain, node):
    process = at_work[node]
    pid = process.process.pid
    inodes = {path[8:-1] for path, _ in open_files(process) if path.startswith('socket:[')}
    udp = socket_table('udp', pid)
    for name in ('tcp', 'tcp6', 'udp6', 'raw', 'raw6'):
        assert not inodes & set(socket_table(name, pid))
    # Signals wake the node through a pair of sockets without a name; those in no table at all
    # have no address, so that nothing can come in through them.
    unix = (Path('/proc') / str(pid) / 'net' / 'unix').read_text().splitlines()[1:]
    assert [row for row in map(str.split, unix) if row[6] in inodes and len(row) > 7] == []
    first = 7400 + 250 * int(ros_domain['ROS_DOMAIN_ID'])
    lowest_free = int(Path('/proc/sys/net/ipv4/ip_local_port_range').read_text().split()[0])
    listening = [udp[inode] for inode in inodes & set(udp) if udp[inode][1] < lowest_free]
    assert listening
    for address, port in listening:
        assert address == '0100007F', f'port {port} listens beyond 127.0.0.1'
        assert first + 10 <= port < first + 250 or 7000 <= port < 7400


@pytest.mark.parametrize('node', NODES)
def test_nothing_is_written_but_logs_and_shared_memory(at_work, node, logs):
    process = at_work[node]
    written = [path for path, flags in open_files(process)
               if flags & O_ACCMODE != O_RDONLY and path.startswith('/')]
    written += re.findall(r'^\S+ .w.s .*?(/.*)$', (
        Path('/proc') / str(process.process.pid) / 'maps').read_text(), re.M)
    allowed_places = (f'{logs}/', '/dev/shm/fastdds_', '/dev/shm/sem.fastdds_', '/dev/null',
                      '/dev/shm/fast_datasharing', '/memfd:')
    assert [path for path in written if not path.startswith(allowed_places)] == []
    assert any(path.startswith(str(logs)) for path in written)


def test_nothing_is_left_at_home_and_no_children_run(at_work, home):
    assert [str(path) for path in home.rglob('*') if path.is_file()] == []
    for process in at_work.values():
        tasks = (Path('/proc') / str(process.process.pid) / 'task').iterdir()
        assert ''.join((task / 'children').read_text() for task in tasks).split() == []


# pictures where none should be

def test_logs_and_diagnostics_hold_no_pictures(at_work, probe, logs):
    told = probe.subscribe(DiagnosticArray, '/diagnostics')
    logged = probe.subscribe(Log, '/rosout', 100)
    for message in told.wait_for(2):
        for status in message.status:
            assert len(status.message) < 2000
            assert all(len(entry.value) < 500 for entry in status.values)
    assert all(len(message.msg) < 2000 for message in logged)
    for path in logs.iterdir():
        lines = path.read_text(encoding='utf-8', errors='strict').splitlines()
        assert all(len(line) < 2000 for line in lines)


def set_privacy(probe, mode):
    value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=mode)
    return probe.call(SetParameters, '/overlay_node/set_parameters', SetParameters.Request(
        parameters=[Parameter(name='privacy', value=value)])).results[0].successful


def detail(image_rgb):
    """How much neighbouring pixels differ at most."""
    return int(np.abs(np.diff(image_rgb.astype(int), axis=1)).max())


def test_no_picture_leaks_while_privacy_changes(at_work, probe):
    arrived = []
    subscription = probe.node.create_subscription(
        Image, '/overlay_node/image',
        lambda message, info: arrived.append((info['source_timestamp'], message)), 50)
    try:
        # A blur of 32 px cells has no steeper edge than 255 / 32 a pixel, and rounding.
        for mode, limit in (('black', 0), ('blur', 9), ('black', 0)):
            assert set_privacy(probe, 'off') and set_privacy(probe, mode)
            since_ns = time.time_ns()
            assert not set_privacy(probe, 'none')       # refused: the mode stays
            deadline = time.monotonic() + 30.0
            while sum(stamp > since_ns for stamp, _ in arrived) < 5:
                assert time.monotonic() < deadline, 'no pictures come'
                time.sleep(0.02)
            private = [message for stamp, message in list(arrived) if stamp > since_ns]
            for message in private:
                assert detail(decode_image(message)) <= limit
        assert set_privacy(probe, 'off')
        open_ns = time.time_ns()
        deadline = time.monotonic() + 30.0
        while not any(stamp > open_ns and detail(decode_image(message)) > 9
                      for stamp, message in list(arrived)):
            assert time.monotonic() < deadline, 'the measure does not tell pictures from blur'
            time.sleep(0.05)
    finally:
        probe.node.destroy_subscription(subscription)
