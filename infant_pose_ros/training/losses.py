"""Losses of the pose network."""

from __future__ import annotations

import torch


def heatmap_cross_entropy(logits: torch.Tensor, targets: torch.Tensor,
                          weight: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of each map's spatial softmax against the target as a distribution.

    Empty maps, to which the paper's squared error easily falls from an ImageNet start, cost the
    most here.

    Args:
        logits, targets: (N, 16, h, w); targets are Gaussians, any scale. weight: (N, 16).

    Returns:
        The weighted mean over keypoints, minus the targets' own entropy: 0 is perfect.
    """
    share = targets.flatten(2)
    share = share / share.sum(-1, keepdim=True).clamp_min(1e-6)
    log_prediction = logits.flatten(2).float().log_softmax(-1)
    divergence = (torch.xlogy(share, share) - share * log_prediction).sum(-1)
    return (divergence * weight).sum() / weight.sum().clamp_min(1e-6)


def heatmap_mse(output: torch.Tensor, targets: torch.Tensor, weight: torch.Tensor,
                foreground: float = 0.0) -> torch.Tensor:
    """Squared error of the heatmaps (Xiao et al. 2018), the paper's loss; shapes as above.

    A cell weighs 1 + `foreground` x target: 0 is the paper's, more keeps maps from going empty.
    """
    error = (output.float() - targets).square() * (1 + foreground * targets)
    return (error.flatten(2).mean(-1) * weight).sum() / weight.sum().clamp_min(1e-6)
