"""The 2D pose network: a backbone and SimpleBaseline's head (Xiao et al. 2018)."""

from __future__ import annotations

import pickle

import torch
from torch import nn
import torchvision

from infant_pose_ros.errors import CheckpointError, InvalidInputError
from infant_pose_ros.models.efficientnet_lite import (
    EfficientNetLite0,
    FEATURE_CHANNELS,
    LITE_MEAN,
    LITE_STD,
    load_imagenet,
)
from infant_pose_ros.skeleton import NUM_KEYPOINTS

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

RESNET_CHANNELS = {'resnet18': 512, 'resnet50': 2048}
BACKBONES = (*RESNET_CHANNELS, 'efficientnet_lite0')


class PoseNetwork(nn.Module):
    """Heatmaps of 16 keypoints from an upright crop: backbone, three deconvolutions, one 1x1.

    Args:
        backbone: 'resnet50' (the paper's), 'resnet18' or 'efficientnet_lite0'.
        deconv_channels: filters of each deconvolution; 256 in the paper.
        num_keypoints: heatmaps.
        pretrained: start the backbone from ImageNet. True works for efficientnet_lite0; the
            resnets take the path of a torchvision state dict, as no package ships theirs.

    Raises:
        InvalidInputError: the backbone is unknown, or `pretrained` doesn't fit it.
        CheckpointError: the pretrained weights can't be read.
    """

    def __init__(self, backbone: str = 'resnet50', deconv_channels: int = 256,
                 num_keypoints: int = NUM_KEYPOINTS, pretrained: bool | str = False):
        super().__init__()
        if backbone not in BACKBONES:
            raise InvalidInputError(
                f'backbone: {backbone!r} is not one of {", ".join(BACKBONES)}')
        if backbone == 'efficientnet_lite0':
            self.backbone = EfficientNetLite0()
            channels, mean, std = FEATURE_CHANNELS[32], LITE_MEAN, LITE_STD
            if pretrained:
                load_imagenet(self.backbone)
        else:
            self.backbone = resnet_body(backbone, pretrained)
            channels, mean, std = RESNET_CHANNELS[backbone], IMAGENET_MEAN, IMAGENET_STD
        self.register_buffer('mean', torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        self.deconvs = deconvolutions(channels, deconv_channels)
        self.heatmaps = nn.Conv2d(deconv_channels, num_keypoints, 1)
        nn.init.normal_(self.heatmaps.weight, std=1e-3)
        nn.init.zeros_(self.heatmaps.bias)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(N, 3, S, S) RGB in 0..1, S a multiple of 32 -> (N, 16, S / 4, S / 4), unbounded."""
        features = self.backbone((image - self.mean) / self.std)    # (N, C, S / 32, S / 32)
        return self.heatmaps(self.deconvs(features))


def deconvolutions(channels_in: int, channels: int, count: int = 3) -> nn.Sequential:
    """`count` doublings: 4x4 stride-2 transposed convolution, batch norm, ReLU each."""
    layers: list[nn.Module] = []
    for index in range(count):
        deconv = nn.ConvTranspose2d(
            channels_in if index == 0 else channels, channels, 4, 2, 1, bias=False)
        nn.init.normal_(deconv.weight, std=1e-3)
        layers += [deconv, nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def resnet_body(name: str, pretrained: bool | str) -> nn.Sequential:
    """Torchvision's ResNet up to stride 32, without pooling and classifier."""
    network = getattr(torchvision.models, name)(weights=None)
    if pretrained is True:
        raise InvalidInputError(
            f'pretrained: no installed package ships ImageNet weights of {name}; give the path '
            'of a torchvision state dict (.pth or .safetensors), or take efficientnet_lite0')
    if pretrained:
        try:
            network.load_state_dict(read_state_dict(str(pretrained)))
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()[:200]
            raise CheckpointError(f'{pretrained}: does not fit {name}: {reason}') from error
    return nn.Sequential(*list(network.children())[:-2])


def read_state_dict(path: str) -> dict[str, torch.Tensor]:
    """Tensors of a .safetensors or .pth file; nothing but tensors is unpickled.

    Raises:
        CheckpointError: the file is missing or holds something else.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file
    try:
        if path.endswith('.safetensors'):
            return load_file(path)
        return torch.load(path, map_location='cpu', weights_only=True)
    except (OSError, RuntimeError, SafetensorError, pickle.UnpicklingError) as error:
        raise CheckpointError(f'{path}: can not be read as a state dict: {error}') from error
