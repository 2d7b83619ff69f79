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
    gpu_memory_mib,
    load_models,
    PoseEstimator,
    PoseLifter,
    release_memory,
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
    twice = Pose2D(large, np.ones(16), np.tile(4.0 * np.eye(2), (16, 1, 1)))
    at_large, = lifter.lift([twice], CAMERA, (320, 240), 0.6)
    assert np.allclose(at_small.keypoints_m, at_large.keypoints_m, atol=1e-6)
    assert np.allclose(at_small.noise_m2, at_large.noise_m2, atol=1e-9)
    with pytest.raises(InvalidInputError, match='160x120 but the image is 320x120'):
        lifter.lift([pose_at(small)], CAMERA, (320, 120), 0.6)


def flat_lifter(**metrics):
    """A lifter for bodies that are `flat_px`: 1 m away, 200 px lens, so 5 mm a pixel."""
    return PoseLifter(ConstantLifter((body_mm() * (1, 1, 0)).reshape(-1)),
                      Manifest('x', 'lifter', 'martinez', metrics=metrics))


def flat_px():
    return project(CAMERA, body_mm() * (1, 1, 0) / 1000 + (0.0, 0.1, 1.0))


def test_noise_is_what_the_picture_shows_times_the_depth_and_jitter_along_the_ray():
    pose_2d = Pose2D(flat_px(), np.ones(16), np.tile(np.diag([4.0, 1.0]), (16, 1, 1)))
    metrics = {'joint_std_mm': [10.0] * 6 + [0.0] + [10.0] * 9, 'joint_jitter_mm': 3.0}
    with_jitter, = flat_lifter(**metrics).lift([pose_2d], CAMERA, SIZE_WH, 0.6)
    without, = flat_lifter(**{**metrics, 'joint_jitter_mm': 0.0}).lift(
        [pose_2d], CAMERA, SIZE_WH, 0.6)
    ray = np.append(with_jitter.keypoints_m[0, :2] / with_jitter.keypoints_m[0, 2], 1.0)
    ray /= np.linalg.norm(ray)
    assert np.allclose(with_jitter.noise_m2[0] - without.noise_m2[0],
                       0.003 ** 2 * np.outer(ray, ray), rtol=1e-6, atol=1e-12)
    # The difference of two keypoints' noise is free of the root's: 2 px and 1 px are the same
    # for both, but only their own.
    own = without.noise_m2[0] - without.noise_m2[1]
    assert np.allclose(own, 0.0, atol=2e-6)
    assert without.noise_m2[0, 0, 0] == pytest.approx(0.010 ** 2, rel=0.2)
    assert without.noise_m2[0, 1, 1] == pytest.approx(0.005 ** 2, rel=0.2)
    # What is told holds the lifter's whole error too, on top.
    beyond = np.linalg.eigvalsh(with_jitter.covariance_m2 - with_jitter.noise_m2)
    assert (beyond[0] > 0.010 ** 2).all() and (beyond[0] < 0.1 ** 2).all()
    assert (beyond[6] > 0.001 ** 2).all()     # the floor, 1 mm


def test_noise_follows_each_keypoint_and_not_the_lifters_error():
    covariances = np.tile(np.eye(2), (16, 1, 1))
    covariances[10] *= 100.0
    pose_2d = Pose2D(flat_px(), np.ones(16), covariances)
    for camera in (CAMERA, None):
        rough, fine = (flat_lifter(joint_std_mm=std_mm, joint_jitter_mm=2.0).lift(
            [pose_2d], camera, SIZE_WH, 0.6)[0] for std_mm in (40.0, 4.0))
        wide = np.trace(rough.noise_m2, axis1=1, axis2=2)
        assert wide[10] > 5 * wide[[0, 11, 15]].max()
        assert np.allclose(rough.noise_m2, fine.noise_m2, rtol=0.5, atol=1e-4)
        assert (np.trace(rough.covariance_m2 - fine.covariance_m2, axis1=1, axis2=2)
                > 2.5 * (0.04 ** 2 - 0.004 ** 2)).all()


def test_relative_noise_by_hand():
    pose_2d = pose_at(flat_px())
    pose, = flat_lifter(joint_std_mm=10.0, joint_jitter_mm=0.0).lift([pose_2d], None, SIZE_WH, 1.2)
    # Twice the body spans the same pixels: 10 mm a pixel, with 1 px each at keypoint and pelvis.
    assert np.allclose(pose.noise_m2[0], np.diag([2e-4, 2e-4, 0.0]), rtol=1e-3, atol=1e-12)
    assert np.allclose(pose.covariance_m2[0] - pose.noise_m2[0], np.eye(3) * 0.02 ** 2)
    assert not pose.noise_m2[6].any()


def test_a_keypoint_that_the_lifter_gets_wrong_places_no_root():
    truth = body_mm() * (1, 1, 0) / 1000 + (0.0, 0.1, 1.0)
    truth[10] += (0.2, 0.2, 0.0)
    std_mm = np.full(16, 2.0)
    std_mm[10] = 200.0
    off = [np.linalg.norm(flat_lifter(joint_std_mm=value).lift(
        [pose_at(project(CAMERA, truth))], CAMERA, SIZE_WH, 0.6)[0].keypoints_m[6] - truth[6])
        for value in (2.0, std_mm.tolist())]
    assert off[1] < off[0] / 3


def test_a_missing_keypoint_takes_nothing_with_it():
    broken = flat_px()
    whole, = flat_lifter().lift([pose_at(broken)], CAMERA, SIZE_WH, 0.6)
    broken[15] = np.nan
    no_peak = np.tile(np.eye(2), (16, 1, 1))
    no_peak[15] = np.nan
    for covariances in (np.tile(np.eye(2), (16, 1, 1)), no_peak):
        for camera in (CAMERA, None):
            pose, = flat_lifter().lift([Pose2D(broken, np.ones(16), covariances)], camera,
                                       SIZE_WH, 0.6)
            assert np.isnan(pose.keypoints_m[15]).all()
            assert np.isnan(pose.covariance_m2[15]).all() and np.isnan(pose.noise_m2[15]).all()
            assert np.isfinite(pose.keypoints_m[:15]).all()
            assert np.isfinite(pose.covariance_m2[:15]).all()
            if camera:
                assert np.allclose(pose.keypoints_m[:15], whole.keypoints_m[:15], atol=0.01)


def test_a_pixel_without_a_ray_takes_nothing_with_it():
    lens = Camera(200.0, 200.0, 79.5, 59.5, *SIZE_WH, 'plumb_bob', [-0.4, 0, 0, 0, 0])
    keypoints_px = flat_px()
    keypoints_px[10] = (2000.0, 1500.0)         # beyond what this lens can have seen
    first, second = flat_lifter().lift(
        [pose_at(keypoints_px), pose_at(flat_px())], lens, SIZE_WH, 0.6)
    assert np.isnan(first.keypoints_m[10]).all()
    assert np.isfinite(np.delete(first.keypoints_m, 10, axis=0)).all()
    assert np.isfinite(second.keypoints_m).all()


def test_three_keypoints_are_too_few_and_no_pose_is_no_answer():
    few = np.full((16, 2), np.nan)
    few[:3] = flat_px()[:3]
    assert flat_lifter().lift([pose_at(few)], None, SIZE_WH, 0.6) == [None]
    assert flat_lifter().lift([], None, SIZE_WH, 0.6) == []


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
