"""Faster R-CNN (Ren et al. 2015) with two classes, background and infant."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

import torch
from torch import nn
from torchvision.models import detection
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.ops import (
    box_iou,
    clip_boxes_to_image,
    FeaturePyramidNetwork,
    FrozenBatchNorm2d,
    generalized_box_iou_loss,
    MultiScaleRoIAlign,
    roi_align,
)
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


class BoxRefiner(nn.Module):
    """Moves the edges of a box that is nearly right, from a wider look at it.

    The features of the two finest levels around the box (1.2 times its size) go through two
    convolutions. It is one more stage of a cascade (Cai and Vasconcelos 2018), for the few boxes
    that are left at the end.
    """

    context, size, hidden, step = 1.2, 7, 96, 0.2
    #: Boxes made from each true one in training, and the scale of their errors.
    copies, jitter = 4, 0.1

    def __init__(self, channels: int):
        super().__init__()
        hidden = self.hidden
        self.layers = nn.Sequential(
            nn.Conv2d(channels * len(LITE_STRIDES), hidden, 1), nn.ReLU(),
            nn.Conv2d(hidden, hidden, 3, padding=1), nn.ReLU(),
            nn.Conv2d(hidden, hidden, 3, padding=1), nn.ReLU(),
            nn.Flatten(), nn.Linear(hidden * self.size ** 2, 256), nn.ReLU(), nn.Linear(256, 4))
        nn.init.zeros_(self.layers[-1].weight)
        nn.init.zeros_(self.layers[-1].bias)

    def forward(self, features: dict[str, torch.Tensor],
                boxes: list[torch.Tensor]) -> torch.Tensor:
        """Features by level and boxes (K, 4) of each picture -> better boxes (sum K, 4)."""
        every = torch.cat(boxes)
        middle, half = (every[:, :2] + every[:, 2:]) / 2, (every[:, 2:] - every[:, :2]) / 2
        wider = torch.cat([middle - self.context * half, middle + self.context * half], dim=1)
        around = list(wider.split([len(each) for each in boxes]))
        seen = torch.cat([
            roi_align(features[str(level)], around, self.size, 1 / stride, 2, True)
            for level, stride in enumerate(LITE_STRIDES)], dim=1)       # (sum K, 2C, 7, 7)
        return every + self.step * self.layers(seen).float() * (2 * half).repeat(1, 2)

    def loss(self, features: dict[str, torch.Tensor], true_boxes: list[torch.Tensor],
             found: list[tuple[torch.Tensor, torch.Tensor]] | None = None) -> torch.Tensor:
        """Distance of edges and generalised IoU after refining.

        Args:
            features: by level. true_boxes: (K, 4) of each picture: refined with made-up errors.
            found: for each picture boxes (M, 4) and the true ones (M, 4) that they should be.
        """
        true = [boxes.repeat_interleave(self.copies, dim=0) for boxes in true_boxes]
        scale = [self.jitter * torch.randn(len(boxes), 1).abs() for boxes in true]
        near = [boxes + (size * torch.randn(len(boxes), 4)).to(boxes) * _sides(boxes)
                for boxes, size in zip(true, scale)]
        if found is not None:
            near = [torch.cat([boxes, more]) for boxes, (more, _) in zip(near, found)]
            true = [torch.cat([boxes, more]) for boxes, (_, more) in zip(true, found)]
        every = torch.cat(true)
        if not len(every):
            return every.sum()
        refined = self(features, near)
        return 2 * ((refined - every).abs() / _sides(every)).mean() + generalized_box_iou_loss(
            refined, every, reduction='mean')


def _sides(boxes: torch.Tensor) -> torch.Tensor:
    """Width, height, width, height of boxes (K, 4)."""
    return (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)


class RefiningRoIHeads(RoIHeads):
    """Torchvision's second stage with a `BoxRefiner` behind it."""

    def __init__(self, *args, refiner: BoxRefiner, **kwargs):
        super().__init__(*args, **kwargs)
        self.refiner = refiner

    def forward(self, features, proposals, image_shapes, targets=None):
        """As torchvision's; a further loss `loss_refine` in training."""
        found, losses = super().forward(features, proposals, image_shapes, targets)
        if self.training:
            true_boxes = [target['boxes'] for target in targets]
            losses['loss_refine'] = self.refiner.loss(
                features, true_boxes,
                self._nearly_found(features, proposals, true_boxes, image_shapes))
            return found, losses
        boxes = [each['boxes'] for each in found]
        refined = self.refiner(features, boxes).split([len(each) for each in boxes])
        for each, better, shape in zip(found, refined, image_shapes):
            each['boxes'] = clip_boxes_to_image(better, shape)
        return found, losses

    @torch.no_grad()
    def _nearly_found(self, features, proposals, true_boxes, image_shapes):
        """What the second stage makes of the first proposals on each true box, and those."""
        chosen, wanted = [], []
        for boxes, true in zip(proposals, true_boxes):
            overlap = box_iou(boxes, true) if len(true) else boxes.new_zeros(len(boxes), 1)
            best, which = overlap.max(dim=1)
            rows = torch.nonzero(best > 0.5).flatten()[:self.refiner.copies]
            chosen.append(boxes[rows])
            wanted.append(true[which[rows]] if len(true) else boxes[rows])
        if not sum(map(len, chosen)):
            return list(zip(chosen, wanted))
        seen = self.box_head(self.box_roi_pool(features, chosen, image_shapes))
        moved = self.box_coder.decode(self.box_predictor(seen)[1].float(), chosen)[:, 1]
        return list(zip(moved.split([len(boxes) for boxes in chosen]), wanted))


def build_detector(architecture: str = 'fasterrcnn_resnet50_fpn', min_size: int | None = None,
                   max_size: int | None = None, pretrained: bool | str = False,
                   refine: bool = False) -> detection.FasterRCNN:
    """Make a torchvision Faster R-CNN for background and infant.

    Args:
        architecture: one of `ARCHITECTURES`; the paper's is fasterrcnn_resnet50_fpn.
        min_size, max_size: pictures are resized so that the shorter side is min_size, or the
            longer side max_size where that is smaller, px.
        pretrained: start the backbone from ImageNet: True for efficientnet_lite0, the path of
            a torchvision backbone classifier's state dict for the others.
        refine: put a `BoxRefiner` behind the second stage (efficientnet_lite0 alone).

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
        return _build_lite(bool(pretrained), sizes, refine)
    if refine:
        raise InvalidInputError(
            f'refine: not made for {architecture}; take fasterrcnn_efficientnet_lite0_fpn')
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


def _build_lite(pretrained: bool, sizes: dict[str, int], refine: bool) -> detection.FasterRCNN:
    levels = [str(index) for index in range(len(LITE_STRIDES))]
    network = detection.FasterRCNN(
        LiteFpn(pretrained), image_mean=LITE_MEAN, image_std=LITE_STD, **sizes,
        rpn_anchor_generator=AnchorGenerator(LITE_ANCHORS, (LITE_RATIOS,) * len(LITE_ANCHORS)),
        rpn_pre_nms_top_n_train=600, rpn_pre_nms_top_n_test=150,
        rpn_post_nms_top_n_train=200, rpn_post_nms_top_n_test=30,
        box_roi_pool=MultiScaleRoIAlign(levels, output_size=7, sampling_ratio=2),
        box_head=TwoMLPHead(LITE_CHANNELS * 7 * 7, LITE_HIDDEN),
        box_predictor=FastRCNNPredictor(LITE_HIDDEN, NUM_CLASSES),
        box_batch_size_per_image=64, box_detections_per_img=20)
    if refine:
        heads = network.roi_heads
        network.roi_heads = RefiningRoIHeads(
            heads.box_roi_pool, heads.box_head, heads.box_predictor,
            fg_iou_thresh=0.5, bg_iou_thresh=0.5, batch_size_per_image=64,
            positive_fraction=0.25, bbox_reg_weights=None, score_thresh=heads.score_thresh,
            nms_thresh=heads.nms_thresh, detections_per_img=heads.detections_per_img,
            refiner=BoxRefiner(LITE_CHANNELS))
    return network


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
