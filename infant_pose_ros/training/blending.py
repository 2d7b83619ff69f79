"""Weights between a network's start and what fine-tuning made of it."""

from __future__ import annotations

import torch
from torch import nn

from infant_pose_ros.errors import InvalidInputError


@torch.no_grad()
def blend_(network: nn.Module, start: nn.Module, share: float) -> nn.Module:
    """Move each weight of a fine-tuned `network` towards its `start`, in place.

    After Wortsman et al., *Robust fine-tuning of zero-shot models* (2022): between the two lie
    networks that keep most of what was learned and most of what the start knew of pictures that
    the fine-tuning never showed.

    Args:
        share: of the fine-tuned weights; 1 leaves the network as it is, 0 gives the start.

    Raises:
        InvalidInputError: the share is outside 0..1, or the networks differ.
    """
    if not 0 <= share <= 1:
        raise InvalidInputError(f'share: expected 0 to 1, got {share}')
    theirs, ours = start.state_dict(), network.state_dict()
    different = sorted(set(theirs) ^ set(ours)) or [
        name for name in ours if ours[name].shape != theirs[name].shape]
    if different:
        raise InvalidInputError(
            f'start: {different[0]} differs between the networks; blend a network with its own '
            'start')
    for name, value in ours.items():
        if value.is_floating_point():
            value.copy_(theirs[name].to(value) * (1 - share) + value * share)
    return network
