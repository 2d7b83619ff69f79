"""Fixtures that many tests share."""

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
