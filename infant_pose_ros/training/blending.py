"""Weights between a network's start and what fine-tuning made of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import nn

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.models.checkpoints import load_checkpoint, Manifest, save_checkpoint


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


def blend_checkpoint(path: str | Path, start: nn.Module, share: float, out: str | Path,
                     metrics: dict[str, Any] | None = None) -> Manifest:
    """Write the blend of a fine-tuned pose network and its start as a checkpoint of its own.

    Args:
        path: of the fine-tuned checkpoint. start: the network that its training began with.
        share: as `blend_`. out: of the new checkpoint.
        metrics: of the blend; those of the fine-tuned network don't hold for it.

    Raises:
        CheckpointError: the checkpoint can't be read. InvalidInputError: as `blend_`.
    """
    network, manifest = load_checkpoint(path, 'pose')
    return save_checkpoint(out, blend_(network, start, share), dataclasses.replace(
        manifest, name=f'{manifest.name}-blend',
        metrics={**(metrics or {}), 'blend_share': share}), half=True)
