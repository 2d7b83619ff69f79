"""Starting a training from what another one learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from infant_pose_ros.errors import SettingsError
from infant_pose_ros.models.checkpoints import load_checkpoint
from infant_pose_ros.skeleton import FROM_LSP, FROM_MPI_INF_3DHP, NUM_KEYPOINTS

#: For each channel of a network that speaks LSP's order, the common keypoint that it shows; LSP
#: lacks pelvis and thorax, which come last.
LSP_ORDER = tuple(
    [FROM_LSP.index(index) for index in range(14)]
    + [joint for joint, index in enumerate(FROM_LSP) if index < 0])
#: For each keypoint of MPI-INF-3DHP in its own order (those that the common set has), the common
#: keypoint that it is.
MPI_ORDER = tuple(sorted(range(NUM_KEYPOINTS), key=FROM_MPI_INF_3DHP.__getitem__))


def load_start(network: nn.Module, path: str | Path, task: str, arguments: Mapping,
               may_lack: str = '') -> None:
    """Copy the weights of a checkpoint into `network`.

    Args:
        network: just built with `arguments`. path, task: of the checkpoint.
        may_lack: tensors whose names begin so may be missing there, and keep their start.

    Raises:
        CheckpointError: the file can't be used.
        SettingsError: it holds another network.
    """
    module, manifest = load_checkpoint(path, task)
    theirs, ours = module.state_dict(), network.state_dict()
    theirs = {**{name: values for name, values in ours.items()
                 if may_lack and name.startswith(may_lack)}, **theirs}
    wrong = sorted(set(theirs) ^ set(ours)) or [
        name for name in ours if ours[name].shape != theirs[name].shape]
    if wrong:
        raise SettingsError(
            f'init_from: {path} holds {manifest.architecture} {manifest.arguments}, the recipe '
            f'builds {dict(arguments)} ({wrong[0]} differs); take the same network for both')
    network.load_state_dict(theirs)


@torch.no_grad()
def reorder_(layer: nn.Module, order: Sequence[int], width: int = 1,
             of_inputs: bool = False) -> None:
    """Let channel k mean what channel order[k] meant, in place.

    Args:
        layer: a linear or convolutional layer. order: of the keypoints. width: channels of each
            keypoint. of_inputs: reorder what the layer takes in place of what it gives.
    """
    channels = (torch.tensor(order)[:, None] * width + torch.arange(width)).flatten()
    dim = 1 if of_inputs else 0
    layer.weight.copy_(layer.weight.index_select(dim, channels.to(layer.weight.device)))
    if not of_inputs and layer.bias is not None:
        layer.bias.copy_(layer.bias[channels.to(layer.bias.device)])
