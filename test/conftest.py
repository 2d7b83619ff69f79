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
