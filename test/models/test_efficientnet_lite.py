from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from infant_pose_ros.models import efficientnet_lite
from infant_pose_ros.models.efficientnet_lite import (
    EfficientNetLite0,
    FEATURE_CHANNELS,
    load_imagenet,
    SameConv2d,
)


def test_same_padding_adds_the_odd_pixel_at_the_right_and_below():
    conv = SameConv2d(1, 1, 3, stride=2)
    with torch.no_grad():
        conv.weight.fill_(1.0)
        out = conv(torch.ones(1, 1, 4, 4))
    # windows begin at 0 and 2: the second loses its third row and column to the padding
    assert out[0, 0].tolist() == [[9.0, 6.0], [6.0, 4.0]]


def test_same_padding_is_even_on_an_odd_input():
    conv = SameConv2d(1, 1, 3, stride=2)
    with torch.no_grad():
        conv.weight.fill_(1.0)
        out = conv(torch.ones(1, 1, 5, 5))
    assert out[0, 0].tolist() == [[4.0, 6.0, 4.0], [6.0, 9.0, 6.0], [4.0, 6.0, 4.0]]


@pytest.mark.parametrize('kernel', [3, 5])
@pytest.mark.parametrize('size', [8, 9])
def test_same_padding_matches_the_definition(kernel, size):
    torch.manual_seed(0)
    conv, x = SameConv2d(2, 3, kernel, stride=2), torch.randn(1, 2, size, size)
    out_size = (size + 1) // 2
    total = (out_size - 1) * 2 + kernel - size
    padded = F.pad(x, (total // 2, total - total // 2) * 2)
    assert torch.allclose(conv(x), F.conv2d(padded, conv.weight, stride=2))


def test_features_have_the_promised_strides_and_channels():
    network = EfficientNetLite0().eval()
    with torch.no_grad():
        features = network.features(torch.zeros(2, 3, 64, 96))
    assert {stride: tuple(value.shape) for stride, value in features.items()} == {
        stride: (2, channels, 64 // stride, 96 // stride)
        for stride, channels in FEATURE_CHANNELS.items()}


def test_parameter_count_is_the_published_one():
    count = sum(value.numel() for value in EfficientNetLite0(1000).parameters())
    assert count == 4_652_008


def test_imagenet_weights_recognise_a_uniform():
    matplotlib = pytest.importorskip('matplotlib')
    picture = cv2.imread(
        str(Path(matplotlib.get_data_path()) / 'sample_data' / 'grace_hopper.jpg'))
    if picture is None:
        pytest.skip("matplotlib's sample picture is not installed")
    side = min(picture.shape[:2])
    picture = cv2.resize(picture[:side, :side, ::-1].copy(), (224, 224),
                         interpolation=cv2.INTER_AREA)
    x = torch.from_numpy(picture.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
    network = load_imagenet(EfficientNetLite0(1000)).eval()
    with torch.no_grad():
        assert network(x).argmax().item() == 652    # 'military uniform'


def test_a_wrong_shape_is_named(monkeypatch):
    tensors = efficientnet_lite.imagenet_tensors()
    tensors[1] = torch.zeros(7)
    monkeypatch.setattr(efficientnet_lite, 'imagenet_tensors', lambda: tensors)
    with pytest.raises(efficientnet_lite.CheckpointError, match=r'stem\.1\.weight.*\(7,\)'):
        load_imagenet(EfficientNetLite0())
