"""Fixtures that many tests share."""

import json

import cv2
import numpy as np
import pytest
import torch


@pytest.fixture(scope='session')
def tiny_checkpoints(tmp_path_factory):
    """Paths of small checkpoints with random weights: dict(detector=, pose=, lifter=)."""
    from infant_pose_ros.models.checkpoints import Manifest, save_checkpoint
    from infant_pose_ros.models.detector import build_detector
    from infant_pose_ros.models.lifter import Lifter
    from infant_pose_ros.models.pose import PoseNetwork

    folder = tmp_path_factory.mktemp('tiny_checkpoints')
    paths = {task: folder / f'{task}.safetensors' for task in ('detector', 'pose', 'lifter')}
    state = torch.random.get_rng_state()
    torch.manual_seed(7)
    size = {'min_size': 64, 'max_size': 96}
    save_checkpoint(
        paths['detector'], build_detector('fasterrcnn_efficientnet_lite0_fpn', **size),
        Manifest('tiny detector', 'detector', 'fasterrcnn_efficientnet_lite0_fpn', size,
                 keypoints=[]))
    pose = {'backbone': 'resnet18', 'deconv_channels': 16}
    save_checkpoint(paths['pose'], PoseNetwork(**pose),
                    Manifest('tiny pose', 'pose', 'simple_baseline', pose, input_size=64))
    save_checkpoint(paths['lifter'], Lifter(hidden=64),
                    Manifest('tiny lifter', 'lifter', 'martinez', {'hidden': 64}))
    torch.random.set_rng_state(state)
    return paths


@pytest.fixture
def stills_folder(tmp_path):
    """Six pictures with a bright body on dark ground, in the format of `infant-pose synth`."""
    folder = tmp_path / 'set'
    (folder / '0000').mkdir(parents=True)
    (folder / 'meta.json').write_text(json.dumps({'seed': 0}), encoding='utf-8')
    rng = np.random.default_rng(0)
    keypoints = np.zeros((6, 16, 2))
    for index in range(6):
        image = rng.integers(0, 60, (120, 160, 3)).astype(np.uint8)
        image[30:90, 50:110] = 200
        cv2.imwrite(str(folder / '0000' / f'{index:05d}.jpg'), image)
        keypoints[index] = rng.uniform([52, 32], [108, 88], (16, 2))
        keypoints[index, 6], keypoints[index, 7] = (80, 70), (80, 50)
    np.savez(folder / '0000' / 'labels.npz', keypoints_px=keypoints,
             keypoints_m=np.zeros((6, 16, 3)), visible=np.ones((6, 16), bool),
             box_xyxy=np.tile([50.0, 30.0, 110.0, 90.0], (6, 1)), body_length_m=np.full(6, 0.6),
             intrinsics=np.tile([200.0, 200.0, 80.0, 60.0], (6, 1)))
    return folder


@pytest.fixture
def cot_folder(tmp_path):
    """Test videos 11 and 12 of a set in SynthCot-12's format, six frames each.

    The body lies 1 m in front of the camera and moves 2 px to the right with each frame; the
    first pixel of a picture is its number, 0 to 11. PCKh's unit is 10 px and 20 mm, the length
    0.6 m in video 11 and 0.5 m in video 12; the left wrist is never visible.
    """
    from infant_pose_ros.data.mini_rgbd import INTRINSICS, joint_rows
    from infant_pose_ros.data.sequence_info import SequenceInfo

    folder = tmp_path / 'cot'
    fx, fy, cx, cy = INTRINSICS
    base_px = np.column_stack([200 + 12.0 * np.arange(16), 160 + 9.0 * (np.arange(16) % 5)])
    for video, length_m in ((11, 0.6), (12, 0.5)):
        place = folder / str(video)
        for part in ('rgb', 'fg_mask', 'joints_2Ddep', 'joints_3D'):
            (place / part).mkdir(parents=True)
        for frame in range(6):
            picture = np.full((480, 640, 3), 90, np.uint8)
            picture[0, 0] = 6 * (video - 11) + frame
            cv2.imwrite(str(place / 'rgb' / f'syn_{frame:05d}.png'), picture)
            mask = np.zeros((480, 640), np.uint8)
            mask[150:210, 190 + 2 * frame:391 + 2 * frame] = 255
            cv2.imwrite(str(place / 'fg_mask' / f'mask_{frame:05d}.png'), mask)
            points = np.zeros((26, 2))
            points[joint_rows(True)] = base_px + [2.0 * frame, 0.0]
            (place / 'joints_2Ddep' / f'syn_joints_2Ddep_{frame:05d}.txt').write_text(''.join(
                f'{x} {y} 1.0 {row}\n' for row, (x, y) in enumerate(points)))
            (place / 'joints_3D' / f'syn_joints_3D_{frame:05d}.txt').write_text(''.join(
                f'{(x - cx) / fx} {(y - cy) / fy} 1.0 {row}\n'
                for row, (x, y) in enumerate(points)))
        visible = np.ones((6, 16), bool)
        visible[:, 15] = False
        np.save(place / 'visible.npy', visible)
        (place / 'sequence.json').write_text(SequenceInfo(
            'SynthCot-12', 1, 5, 30.0, 6, length_m, 3.0, 10.0, 0.02).to_json())
    return folder


class Recorded:
    """Makes messages and bags with `rosbags` alone, without ROS."""

    def __init__(self, folder):
        from rosbags.typesys import get_typestore, Stores

        self.folder = folder
        self.typestore = get_typestore(Stores.ROS2_HUMBLE)

    def make(self, kind, **fields):
        return self.typestore.types[kind](**fields)

    def header(self, stamp_s, frame_id='optics'):
        seconds, nanoseconds = divmod(round(1e9 * stamp_s), 1_000_000_000)
        stamp = self.make('builtin_interfaces/msg/Time', sec=seconds, nanosec=nanoseconds)
        return self.make('std_msgs/msg/Header', stamp=stamp, frame_id=frame_id)

    def text(self, data):
        return self.make('std_msgs/msg/String', data=data)

    def image(self, image_rgb, stamp_s, frame_id='optics'):
        return self.make(
            'sensor_msgs/msg/Image', header=self.header(stamp_s, frame_id),
            height=image_rgb.shape[0], width=image_rgb.shape[1], encoding='rgb8', is_bigendian=0,
            step=3 * image_rgb.shape[1], data=image_rgb.reshape(-1))

    def compressed(self, image_rgb, stamp_s, frame_id='optics'):
        data = cv2.imencode('.jpg', image_rgb[..., ::-1])[1].reshape(-1)
        return self.make('sensor_msgs/msg/CompressedImage',
                         header=self.header(stamp_s, frame_id), format='jpeg', data=data)

    def camera_info(self, stamp_s, fx=100.0, frame_id='optics', size_wh=(8, 6)):
        roi = self.make('sensor_msgs/msg/RegionOfInterest', x_offset=0, y_offset=0, height=0,
                        width=0, do_rectify=False)
        return self.make(
            'sensor_msgs/msg/CameraInfo', header=self.header(stamp_s, frame_id),
            height=size_wh[1], width=size_wh[0], distortion_model='plumb_bob', d=np.zeros(5),
            k=np.array([fx, 0, 3.5, 0, fx, 2.5, 0, 0, 1.0]) * (fx > 0), r=np.eye(3).ravel(),
            p=np.zeros(12), binning_x=0, binning_y=0, roi=roi)

    def cloud(self, infants, stamp_s, frame_id='optics'):
        from infant_pose_ros.media.bag_copy import keypoint_cloud
        return keypoint_cloud(self.typestore, self.header(stamp_s, frame_id), infants)

    def bag(self, messages, storage='mcap', name='bag'):
        """Write (topic, time in ns, message) into a new bag; its folder."""
        from rosbags.rosbag2 import StoragePlugin, Writer

        writer = Writer(self.folder / name, version=8,
                        storage_plugin=StoragePlugin[storage.upper()])
        with writer:
            connections = {}
            for topic, time_ns, message in messages:
                kind = message.__msgtype__
                if topic not in connections:
                    connections[topic] = writer.add_connection(topic, kind,
                                                               typestore=self.typestore)
                writer.write(connections[topic], time_ns,
                             self.typestore.serialize_cdr(message, kind))
        return self.folder / name


@pytest.fixture
def recorded(tmp_path):
    """Bags with pictures and keypoints, as any recorder writes them."""
    return Recorded(tmp_path)
