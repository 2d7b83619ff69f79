"""The 2D pose network: a backbone and SimpleBaseline's head (Xiao et al. 2018), or MoveNet."""

from __future__ import annotations

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
from infant_pose_ros.models.movenet import (
    HEAD_CHANNELS,
    load_movenet,
    MoveNetBody,
    PYRAMID_CHANNELS,
    Separable,
    VARIANTS,
)
from infant_pose_ros.models.torch_files import load_tensors
from infant_pose_ros.skeleton import FROM_COCO, Joint, NUM_KEYPOINTS

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

RESNET_CHANNELS = {'resnet18': 512, 'resnet50': 2048}
MOVENETS = {f'movenet_{variant}': variant for variant in VARIANTS}
BACKBONES = (*RESNET_CHANNELS, 'efficientnet_lite0', *MOVENETS)
#: COCO's keypoints whose mean heatmap a keypoint starts from that COCO hasn't: what lies near.
_COCO_NOSE, _COCO_SHOULDERS, _COCO_HIPS = (0,), (5, 6), (11, 12)
FROM_COCO_NEARBY = {
    Joint.PELVIS: _COCO_HIPS, Joint.THORAX: _COCO_SHOULDERS,
    Joint.UPPER_NECK: _COCO_NOSE + _COCO_SHOULDERS, Joint.HEAD_TOP: _COCO_NOSE}


class PoseNetwork(nn.Module):
    """Heatmaps of 16 keypoints from an upright crop: backbone, three deconvolutions, one 1x1.

    MoveNet's pyramid is at stride 4 already: its own head follows it, without deconvolutions.

    Args:
        backbone: 'resnet50' (the paper's), 'resnet18', 'efficientnet_lite0',
            'movenet_lightning' or 'movenet_thunder'.
        deconv_channels: filters of each deconvolution; 256 in the paper, unused with MoveNet.
        num_keypoints: heatmaps.
        pretrained: start the backbone from ImageNet. True works for efficientnet_lite0; the
            resnets take the path of a torchvision state dict, as no package ships theirs.
            MoveNet takes the path of its graph model (`load_movenet`) and starts the head, too,
            from adults.

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
        if backbone in MOVENETS:
            self.backbone = MoveNetBody(VARIANTS[MOVENETS[backbone]][0])
            self.deconvs = nn.Sequential(Separable(PYRAMID_CHANNELS, HEAD_CHANNELS))
            self.heatmaps = nn.Conv2d(HEAD_CHANNELS, num_keypoints, 1)
            self._normalise(LITE_MEAN, LITE_STD)
            if pretrained:
                self._start_from_movenet(MOVENETS[backbone], pretrained)
            return
        if backbone == 'efficientnet_lite0':
            self.backbone = EfficientNetLite0()
            channels, mean, std = FEATURE_CHANNELS[32], LITE_MEAN, LITE_STD
            if pretrained:
                load_imagenet(self.backbone)
        else:
            self.backbone = resnet_body(backbone, pretrained)
            channels, mean, std = RESNET_CHANNELS[backbone], IMAGENET_MEAN, IMAGENET_STD
        self._normalise(mean, std)
        self.deconvs = deconvolutions(channels, deconv_channels)
        self.heatmaps = nn.Conv2d(deconv_channels, num_keypoints, 1)
        nn.init.normal_(self.heatmaps.weight, std=1e-3)
        nn.init.zeros_(self.heatmaps.bias)

    def _normalise(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        self.register_buffer('mean', torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def _start_from_movenet(self, variant: str, path: bool | str) -> None:
        """Copy MoveNet's pyramid and head; each heatmap starts from the joint of its name."""
        if path is True:
            raise InvalidInputError(
                'pretrained: no installed package ships MoveNet; give the path of its graph model')
        if self.heatmaps.out_channels != NUM_KEYPOINTS:
            raise InvalidInputError(
                f'num_keypoints: MoveNet starts {NUM_KEYPOINTS} heatmaps, got '
                f'{self.heatmaps.out_channels}')
        movenet = load_movenet(path, variant)
        self.backbone.load_state_dict(movenet.body.state_dict())
        self.deconvs[0].load_state_dict(movenet.heatmaps[0].state_dict())
        last = movenet.heatmaps[1]
        with torch.no_grad():
            for joint, index in enumerate(FROM_COCO):
                nearby = [index] if index >= 0 else list(FROM_COCO_NEARBY[Joint(joint)])
                self.heatmaps.weight[joint] = last.weight[nearby].mean(0)
                self.heatmaps.bias[joint] = last.bias[nearby].mean(0)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(N, 3, S, S) RGB in 0..1, S a multiple of 32 -> (N, 16, S / 4, S / 4), unbounded."""
        features = self.backbone((image - self.mean) / self.std)    # stride 32; MoveNet: 4
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
        return load_tensors(path)
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(f'{path}: can not be read as a state dict: {error}') from error
