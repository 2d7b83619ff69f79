import numpy as np
import pytest
import torch
from torch import nn

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.errors import CheckpointError, InvalidInputError, SettingsError
from infant_pose_ros.geometry.crops import Crop
from infant_pose_ros.inference import (
    Detector,
    gpu_memory_mib,
    load_models,
    PoseEstimator,
    PoseRequest,
    release_memory,
    resolve_device,
    resolve_precision,
)
from infant_pose_ros.media.crops import cut_crop
from infant_pose_ros.models.checkpoints import load_checkpoint, Manifest
from infant_pose_ros.models.pose import PoseNetwork


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


def detector_of(boxes, scores):
    module = FakeFasterRcnn(boxes, scores)
    return module, Detector(module, Manifest(
        'fake', 'detector', 'fasterrcnn_efficientnet_lite0_fpn', keypoints=[]))


def estimator():
    return PoseEstimator(BrightestSpot(), Manifest(
        'fake', 'pose', 'simple_baseline', input_size=64))


def test_detections_come_best_first_and_empty_boxes_go():
    _, detector = detector_of(
        [[1.0, 2.0, 3.0, 4.0], [5.0, 5.0, 5.0, 9.0], [10.0, 10.0, 20.0, 20.0]], [0.2, 0.9, 0.7])
    found = detector.detect(np.zeros((64, 96, 3), np.uint8))
    assert [detection.score for detection in found] == pytest.approx([0.7, 0.2])
    assert found[0].box_xyxy.tolist() == [10, 10, 20, 20]


def test_nothing_detected_is_an_empty_list():
    _, detector = detector_of([], [])
    assert detector.detect(np.zeros((120, 160, 3), np.uint8)) == []


@pytest.mark.parametrize('size_wh, inner_wh, box', [
    ((960, 640), (96, 64), [100, 50, 300, 600]),    # as trained, ten times as large
    ((960, 480), (96, 48), [100, 50, 300, 480]),    # wide: black below, boxes end at the picture
    ((240, 480), (32, 64), [75, 37.5, 225, 450]),   # upright: black on the right
    ((48, 24), (96, 48), [5, 2.5, 15, 24]),         # small: enlarged
    ((100, 99), (65, 64), [10 / .65, 5 * 99 / 64, 30 / .65, 60 * 99 / 64]),   # rounded sides
])
def test_every_picture_is_fitted_into_one_shape_and_boxes_come_back(size_wh, inner_wh, box):
    module, detector = detector_of([[10.0, 5.0, 30.0, 60.0]], [1.0])
    found = detector.detect(np.full((size_wh[1], size_wh[0], 3), 255, np.uint8))
    assert module.seen.shape == (3, 64, 96)
    lit = np.zeros((64, 96))
    lit[:inner_wh[1], :inner_wh[0]] = 1.0
    assert np.array_equal(module.seen.numpy(), np.tile(lit, (3, 1, 1)))
    assert found[0].box_xyxy.tolist() == pytest.approx(box)


def test_one_trace_serves_every_size(tiny_checkpoints):
    module, manifest = load_checkpoint(tiny_checkpoints['detector'], 'detector')
    detector = Detector(module, manifest)
    for height, width in ((48, 64), (64, 48), (90, 160), (200, 200)):
        detector.detect(np.zeros((height, width, 3), np.uint8))
    assert len(module.backbone._traces) == 1


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


def test_without_a_calibration_little_of_the_covariance_is_noise():
    image = np.random.default_rng(1).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    pose, = estimator().estimate(image, [Crop((90.0, 60.0), 96.0, 0.0, 64)])
    assert np.allclose(pose.noise_px2, pose.covariance_px2 / 30)


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


def test_pictures_of_several_sizes_are_read_together_by_one_trace():
    traced = estimator()
    images = [np.random.default_rng(size).integers(0, 255, (size, 2 * size, 3), dtype=np.uint8)
              for size in (60, 90, 120)]
    requests = [PoseRequest(image, [Crop((40.0 + turn, 30.0), 50.0, turn, 64)
                                    for turn in range(count)])
                for count, image in zip((2, 0, 3), images)]
    together = traced.estimate_batch(requests)
    assert [len(poses) for poses in together] == [2, 0, 3]
    for request, poses in zip(requests, together):
        for pose, alone in zip(poses, traced.estimate(*request)):
            assert np.allclose(pose.keypoints_px, alone.keypoints_px, atol=1e-4)
    assert traced.estimate_batch([]) == [] and len(traced._module._traces) == 1


def test_memory_is_given_back_on_a_gpu_only(monkeypatch):
    emptied = []
    monkeypatch.setattr(torch.cuda, 'empty_cache', lambda: emptied.append(True))
    monkeypatch.setattr(torch.cuda, 'memory_allocated', lambda device: 3 * 2**20)
    monkeypatch.setattr(torch.cuda, 'memory_reserved', lambda device: 5 * 2**19)
    release_memory('cpu')
    assert not emptied
    assert gpu_memory_mib('cpu') is None
    release_memory('cuda:0')
    assert emptied == [True]
    assert gpu_memory_mib('cuda:0') == {'allocated': 3.0, 'reserved': 2.5}


def test_load_models_and_describe(tiny_checkpoints):
    models = load_models(PipelineSettings(
        device='cpu', **{f'{task}_weights': str(path) for task, path in tiny_checkpoints.items()}))
    assert (models.device, models.precision) == ('cpu', 'fp32')
    described = models.describe()
    assert set(described) == {'detector', 'pose', 'lifter'}
    assert len(described['pose']['sha256']) == 64
    assert described['pose']['input_size'] == 64
    assert not described['pose']['is_calibrated'] and not described['lifter']['is_calibrated']


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
