"""Faster R-CNN (Ren et al. 2015) with two classes, background and infant."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

import torch
from torch import nn
from torchvision.models import detection
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.ops import FeaturePyramidNetwork, FrozenBatchNorm2d, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.models.efficientnet_lite import (
    EfficientNetLite0,
    FEATURE_CHANNELS,
    LITE_MEAN,
    LITE_STD,
    load_imagenet,
)
from infant_pose_ros.models.pose import read_state_dict

NUM_CLASSES = 2

#: Default (min_size, max_size) of each architecture's input, px.
ARCHITECTURES = {
    'fasterrcnn_resnet50_fpn': (800, 1333),
    'fasterrcnn_mobilenet_v3_large_320_fpn': (320, 640),
    'fasterrcnn_efficientnet_lite0_fpn': (240, 320),
}

LITE_STRIDES = (16, 32)
LITE_CHANNELS = 128
LITE_HIDDEN = 256
#: Anchor sizes, px, at strides 16, 32 and 64: an infant fills a good part of the picture.
LITE_ANCHORS = ((40, 64), (96, 144), (208, 304))
LITE_RATIOS = (0.5, 1.0, 2.0)


class LiteFpn(nn.Module):
    """EfficientNet-Lite0 with a feature pyramid at strides 16, 32 and 64.

    Its batch norms are frozen, as detectors are trained with a few pictures at a time.
    """

    def __init__(self, pretrained: bool = False):
        super().__init__()
        self.body = EfficientNetLite0(norm=partial(FrozenBatchNorm2d, eps=1e-3))
        if pretrained:
            load_imagenet(self.body)
        self.fpn = FeaturePyramidNetwork(
            [FEATURE_CHANNELS[stride] for stride in LITE_STRIDES], LITE_CHANNELS,
            extra_blocks=LastLevelMaxPool())
        self.out_channels = LITE_CHANNELS

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """(N, 3, H, W) normalised -> {'0', '1', 'pool': (N, 128, H / s, W / s)}."""
        features = self.body.features(x)
        return self.fpn(OrderedDict(
            (str(index), features[stride]) for index, stride in enumerate(LITE_STRIDES)))


def build_detector(architecture: str = 'fasterrcnn_resnet50_fpn', min_size: int | None = None,
                   max_size: int | None = None,
                   pretrained: bool | str = False) -> detection.FasterRCNN:
    """Make a torchvision Faster R-CNN for background and infant.

    Args:
        architecture: one of `ARCHITECTURES`; the paper's is fasterrcnn_resnet50_fpn.
        min_size, max_size: pictures are resized so that the shorter side is min_size, or the
            longer side max_size where that is smaller, px.
        pretrained: start the backbone from ImageNet: True for efficientnet_lite0, the path of
            a torchvision backbone classifier's state dict for the others.

    Returns:
        The network, in training mode; torchvision's calling convention.

    Raises:
        InvalidInputError: the architecture is unknown, or `pretrained` doesn't fit it.
        CheckpointError: the pretrained weights can't be read.
    """
    if architecture not in ARCHITECTURES:
        raise InvalidInputError(
            f'architecture: {architecture!r} is not one of {", ".join(ARCHITECTURES)}')
    default_min, default_max = ARCHITECTURES[architecture]
    sizes = {'min_size': min_size or default_min, 'max_size': max_size or default_max}
    if architecture == 'fasterrcnn_efficientnet_lite0_fpn':
        return _build_lite(bool(pretrained), sizes)
    if pretrained is True:
        raise InvalidInputError(
            f'pretrained: no installed package ships ImageNet weights for {architecture}; give '
            'the path of a torchvision classifier state dict, or take '
            'fasterrcnn_efficientnet_lite0_fpn')
    network = getattr(detection, architecture)(
        weights=None, weights_backbone=None, num_classes=NUM_CLASSES, **sizes)
    if pretrained:
        _load_body(network.backbone.body, str(pretrained), architecture)
    return network


def _build_lite(pretrained: bool, sizes: dict[str, int]) -> detection.FasterRCNN:
    levels = [str(index) for index in range(len(LITE_STRIDES))]
    return detection.FasterRCNN(
        LiteFpn(pretrained), image_mean=LITE_MEAN, image_std=LITE_STD, **sizes,
        rpn_anchor_generator=AnchorGenerator(LITE_ANCHORS, (LITE_RATIOS,) * len(LITE_ANCHORS)),
        rpn_pre_nms_top_n_train=600, rpn_pre_nms_top_n_test=150,
        rpn_post_nms_top_n_train=200, rpn_post_nms_top_n_test=30,
        box_roi_pool=MultiScaleRoIAlign(levels, output_size=7, sampling_ratio=2),
        box_head=TwoMLPHead(LITE_CHANNELS * 7 * 7, LITE_HIDDEN),
        box_predictor=FastRCNNPredictor(LITE_HIDDEN, NUM_CLASSES),
        box_batch_size_per_image=64, box_detections_per_img=20)


def _load_body(body: nn.Module, path: str, architecture: str) -> None:
    """Copy a classifier's tensors that the detector's `body` shares by name."""
    state = read_state_dict(path)
    prefix = 'features.' if any(name.startswith('features.') for name in state) else ''
    wanted = body.state_dict()
    found = {name: state[prefix + name] for name in wanted if prefix + name in state}
    missing = [name for name in wanted
               if name not in found and not name.endswith('num_batches_tracked')]
    if missing or any(found[name].shape != wanted[name].shape for name in found):
        raise InvalidInputError(
            f'pretrained: {path} does not fit the backbone of {architecture}: '
            f'{len(missing)} tensors missing{", first " + missing[0] if missing else ""}')
    body.load_state_dict(found, strict=False)
