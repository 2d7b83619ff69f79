import numpy as np
import pytest
import torch
from torch import nn

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.errors import CheckpointError, InvalidInputError, SettingsError
from infant_pose_ros.geometry.cameras import project
from infant_pose_ros.geometry.crops import Crop
from infant_pose_ros.inference import (
    Detector,
    load_models,
    PoseEstimator,
    PoseLifter,
    resolve_device,
    resolve_precision,
)
from infant_pose_ros.media.crops import cut_crop
from infant_pose_ros.models.checkpoints import load_checkpoint, Manifest
from infant_pose_ros.models.pose import PoseNetwork
from infant_pose_ros.structures import Camera, Pose2D

SIZE_WH = (160, 120)
CAMERA = Camera(200.0, 200.0, 79.5, 59.5, *SIZE_WH)


class FakeFasterRcnn(nn.Module):
    """Answers boxes that were given to it, and keeps the picture that it saw."""

    class Transform(nn.Module):
        min_size, max_size = (64,), 96

    def __init__(self, boxes, scores):
        super().__init__()
        self.transform = self.Transform()
        self.backbone = nn.Identity()
        self.backbone.out_channels = 1
        self.boxes = torch.tensor(boxes).reshape(-1, 4)
        self.scores = torch.tensor(scores)

    def forward(self, images):
        self.seen = images[0]
        return [{'boxes': self.boxes, 'scores': self.scores}]


class BrightestSpot(nn.Module):
    """A 'pose network' whose heatmaps peak where the input is brightest."""

    def forward(self, x):
        grey = nn.functional.avg_pool2d(x.float().mean(dim=1, keepdim=True), 4)
        return (grey * 60).expand(-1, 16, -1, -1).to(x.dtype)


class ConstantLifter(nn.Module):
    def __init__(self, output_mm):
        super().__init__()
        self.output_mm = torch.as_tensor(output_mm, dtype=torch.float32)

    def forward(self, x):
        return self.output_mm.expand(len(x), 48)


def detector_of(boxes, scores):
    module = FakeFasterRcnn(boxes, scores)
    return module, Detector(module, Manifest(
        'fake', 'detector', 'fasterrcnn_efficientnet_lite0_fpn', keypoints=[]))


def estimator():
    return PoseEstimator(BrightestSpot(), Manifest(
        'fake', 'pose', 'simple_baseline', input_size=64))


def body_mm():
    """(16, 3) mm, flat, pelvis (index 6) at the origin, thorax (7) 200 mm above it."""
    rng = np.random.default_rng(3)
    body = rng.uniform(-150, 150, (16, 3))
    body[6], body[7] = 0.0, (0.0, -200.0, 0.0)
    return body


def pose_at(keypoints_px):
    return Pose2D(keypoints_px, np.ones(16), np.tile(np.eye(2), (16, 1, 1)))


def test_detections_come_best_first_and_empty_boxes_go():
    _, detector = detector_of(
        [[1.0, 2.0, 3.0, 4.0], [5.0, 5.0, 5.0, 9.0], [10.0, 10.0, 20.0, 20.0]], [0.2, 0.9, 0.7])
    found = detector.detect(np.zeros((120, 160, 3), np.uint8))
    assert [detection.score for detection in found] == pytest.approx([0.7, 0.2])
    assert found[0].box_xyxy.tolist() == [10, 10, 20, 20]


def test_nothing_detected_is_an_empty_list():
    _, detector = detector_of([], [])
    assert detector.detect(np.zeros((120, 160, 3), np.uint8)) == []


def test_a_large_picture_is_averaged_down_and_boxes_come_back_in_frame_px():
    module, detector = detector_of([[0.0, 0.0, 64.0, 32.0]], [1.0])
    found = detector.detect(np.full((480, 960, 3), 255, np.uint8))
    # 960 px wide for an input of 96: shown at twice the input, a fifth of the frame
    assert module.seen.shape == (3, 96, 192)
    assert float(module.seen.min()) == 1.0
    assert found[0].box_xyxy.tolist() == pytest.approx([0, 0, 320, 160])


def test_real_detector_runs_twice_alike(tiny_checkpoints):
    detector = Detector(*load_checkpoint(tiny_checkpoints['detector'], 'detector'))
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    first, second = detector.detect(image), detector.detect(image)
    assert len(first) == len(second) > 0
    assert np.allclose([d.box_xyxy for d in first], [d.box_xyxy for d in second], atol=1e-3)


def test_traced_detector_equals_the_untraced_one(tiny_checkpoints):
    module, manifest = load_checkpoint(tiny_checkpoints['detector'], 'detector')
    image = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    with torch.no_grad():
        raw = module([torch.from_numpy(image).permute(2, 0, 1).float() / 255])[0]
    found = Detector(module, manifest).detect(image)
    assert [d.score for d in found] == pytest.approx(
        sorted(raw['scores'].tolist(), reverse=True), abs=1e-4)


@pytest.mark.parametrize('angle_rad', [0.0, 1.0, np.pi])
def test_keypoints_come_back_in_frame_px(angle_rad):
    image = np.zeros((120, 160, 3), np.uint8)
    image[66:75, 96:105] = 255          # middle at (100, 70)
    pose, = estimator().estimate(image, [Crop((90.0, 60.0), 96.0, angle_rad, 64)])
    # a cell is 6 px of the frame here
    assert np.abs(pose.keypoints_px - (100.0, 70.0)).max() < 1.5
    assert (np.linalg.eigvalsh(pose.covariance_px2) > 0).all()
    assert pose.score.min() > 0.5


def test_estimate_of_no_crops_and_of_a_wrong_size():
    image = np.zeros((120, 160, 3), np.uint8)
    assert estimator().estimate(image, []) == []
    with pytest.raises(InvalidInputError, match='64 px, got 32'):
        estimator().estimate(image, [Crop((50.0, 50.0), 40.0, 0.0, 32)])


def test_a_batch_equals_single_crops_and_eager_mode():
    torch.manual_seed(0)
    network = PoseNetwork('efficientnet_lite0', 16).eval()
    nn.init.normal_(network.heatmaps.weight, std=0.5)
    manifest = Manifest('x', 'pose', 'simple_baseline', input_size=64)
    image = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    crops = [Crop((80.0, 60.0), 100.0, turn, 64) for turn in (0.0, 1.0)]
    x = torch.from_numpy(cut_crop(image, crops[0])).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        eager = network(x)
    traced = PoseEstimator(network, manifest)
    batch = traced.estimate(image, crops)
    alone = traced.estimate(image, crops[:1])[0]
    assert np.allclose(batch[0].score, alone.score, atol=1e-4)
    keypoints, scores, _ = traced._codec.decode(eager.numpy())
    assert np.allclose(scores[0], alone.score, atol=1e-3)


def test_lifting_puts_the_body_onto_its_rays():
    body_m = body_mm() / 1000 + (0.05, 0.02, 1.2)
    # Seen straight ahead: the view's axes are the camera's but for a small turn, so take the
    # lifter's answer in the view of these very rays.
    from infant_pose_ros.codecs.lifting import LiftingCodec
    from infant_pose_ros.geometry.cameras import undistort_to_rays
    keypoints_px = project(CAMERA, body_m)
    codec = LiftingCodec()
    _, view = codec.encode_input(undistort_to_rays(CAMERA, keypoints_px))
    target = codec.encode_target(body_m, 0.6, view)
    lifter = PoseLifter(ConstantLifter(target), Manifest('x', 'lifter', 'martinez'))
    absolute, = lifter.lift([pose_at(keypoints_px)], CAMERA, SIZE_WH, 0.6)
    assert absolute.is_absolute
    assert np.abs(absolute.keypoints_m - body_m).max() < 1e-4
    larger, = lifter.lift([pose_at(keypoints_px)], CAMERA, SIZE_WH, 1.2)
    assert larger.keypoints_m[6] == pytest.approx(2 * body_m[6], abs=1e-3)
    relative, = lifter.lift([pose_at(keypoints_px)], None, SIZE_WH, 0.6)
    assert not relative.is_absolute
    assert relative.keypoints_m[6].tolist() == [0.0, 0.0, 0.0]


def test_lifting_scales_the_camera_to_the_picture():
    body_m = body_mm() / 1000 + (0.0, 0.0, 1.2)
    lifter = PoseLifter(ConstantLifter(body_mm().reshape(-1)),
                        Manifest('x', 'lifter', 'martinez'))
    small = project(CAMERA, body_m)
    large = (small + 0.5) * 2 - 0.5
    at_small, = lifter.lift([pose_at(small)], CAMERA, SIZE_WH, 0.6)
    at_large, = lifter.lift([pose_at(large)], CAMERA, (320, 240), 0.6)
    assert np.allclose(at_small.keypoints_m, at_large.keypoints_m, atol=1e-6)
    with pytest.raises(InvalidInputError, match='160x120.*320x120'):
        lifter.lift([pose_at(small)], CAMERA, (320, 120), 0.6)


def test_covariance_follows_manifest_and_body_length():
    std_mm = [10.0] * 16
    std_mm[6] = 0.0
    lifter = PoseLifter(ConstantLifter(body_mm().reshape(-1)), Manifest(
        'x', 'lifter', 'martinez', metrics={'joint_std_mm': std_mm}))
    keypoints_px = project(CAMERA, body_mm() / 1000 + (0.0, 0.0, 1.2))
    pose, = lifter.lift([pose_at(keypoints_px)], None, SIZE_WH, 1.2)
    assert np.allclose(pose.covariance_m2[0], np.eye(3) * 0.02 ** 2)   # twice the canonical body
    assert np.allclose(pose.covariance_m2[6], np.eye(3) * 0.002 ** 2)  # the floor, 1 mm
    placed, = lifter.lift([pose_at(keypoints_px)], CAMERA, SIZE_WH, 1.2)
    assert (np.diagonal(placed.covariance_m2[0]) > 0.02 ** 2).all()


def test_a_missing_keypoint_is_not_lifted_and_others_are():
    keypoints_px = project(CAMERA, body_mm() / 1000 + (0.0, 0.0, 1.2))
    broken = keypoints_px.copy()
    broken[3] = np.nan
    lifter = PoseLifter(ConstantLifter(np.ones(48)), Manifest('x', 'lifter', 'martinez'))
    first, second = lifter.lift([pose_at(broken), pose_at(keypoints_px)], None, SIZE_WH, 0.6)
    assert first is None
    assert second is not None
    assert lifter.lift([], None, SIZE_WH, 0.6) == []


def test_load_models_and_describe(tiny_checkpoints):
    models = load_models(PipelineSettings(
        device='cpu', **{f'{task}_weights': str(path) for task, path in tiny_checkpoints.items()}))
    assert (models.device, models.precision) == ('cpu', 'fp32')
    described = models.describe()
    assert set(described) == {'detector', 'pose', 'lifter'}
    assert len(described['pose']['sha256']) == 64
    assert described['pose']['input_size'] == 64


def test_load_models_names_the_missing_file(tiny_checkpoints, tmp_path):
    with pytest.raises(CheckpointError, match='gone.safetensors'):
        load_models(PipelineSettings(
            device='cpu', detector_weights=str(tiny_checkpoints['detector']),
            pose_weights=str(tmp_path / 'gone.safetensors')))


@pytest.mark.parametrize('device', ['gpu', 'cuda:x', 'tpu', 'cuda:'])
def test_unknown_devices(device):
    with pytest.raises(SettingsError, match='device'):
        resolve_device(device)


def test_a_gpu_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert resolve_device('auto') == 'cpu'
    with pytest.raises(SettingsError, match="sees 0 GPUs; take 'auto'"):
        resolve_device('cuda')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)
    assert resolve_device('cuda') == resolve_device('auto') == 'cuda:0'
    with pytest.raises(SettingsError, match='sees 1 GPU;'):
        resolve_device('cuda:1')


def test_precision():
    assert resolve_precision('auto', 'cpu') == 'fp32'
    assert resolve_precision('auto', 'cuda:0') == 'fp16'
    assert resolve_precision('bf16', 'cpu') == 'bf16'
    with pytest.raises(SettingsError, match='fp16'):
        resolve_precision('fp16', 'cpu')


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA GPU')
def test_half_precision_on_a_gpu_agrees_with_the_cpu(tiny_checkpoints):
    image = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    crop = Crop((80.0, 60.0), 100.0, 0.0, 64)
    poses = [PoseEstimator(*load_checkpoint(tiny_checkpoints['pose'], 'pose'), device,
                           precision).estimate(image, [crop])[0]
             for device, precision in (('cpu', 'fp32'), ('cuda:0', 'fp16'))]
    assert np.allclose(poses[0].score, poses[1].score, atol=0.02)
