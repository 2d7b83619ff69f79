"""The lifting network: 16 points in a picture -> 16 points in space (Martinez et al. 2017)."""

from __future__ import annotations

import torch
from torch import nn

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.skeleton import NUM_KEYPOINTS

STD_FLOOR = 1e-6


def linear_layer(features_in: int, features_out: int, dropout: float) -> nn.Sequential:
    """Linear, batch norm, ReLU, dropout."""
    linear = nn.Linear(features_in, features_out)
    nn.init.kaiming_normal_(linear.weight, nonlinearity='relu')
    return nn.Sequential(linear, nn.BatchNorm1d(features_out), nn.ReLU(inplace=True),
                         nn.Dropout(dropout))


class ResidualBlock(nn.Module):
    """Two linear layers beside a skip connection."""

    def __init__(self, hidden: int, dropout: float):
        super().__init__()
        self.layers = nn.Sequential(
            linear_layer(hidden, hidden, dropout), linear_layer(hidden, hidden, dropout))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, hidden) -> (N, hidden)."""
        return x + self.layers(x)


class Lifter(nn.Module):
    """Linear to `hidden`, residual blocks, linear; input and output are normalised inside.

    Args:
        hidden: width; 1024 in the paper.
        blocks: residual blocks; 2 in the paper.
        dropout: share of units dropped in training.
        num_keypoints: points in and out.
    """

    def __init__(self, hidden: int = 1024, blocks: int = 2, dropout: float = 0.5,
                 num_keypoints: int = NUM_KEYPOINTS):
        super().__init__()
        inputs, outputs = 2 * num_keypoints, 3 * num_keypoints
        self.register_buffer('input_mean', torch.zeros(inputs))
        self.register_buffer('input_std', torch.ones(inputs))
        self.register_buffer('output_mean', torch.zeros(outputs))
        self.register_buffer('output_std', torch.ones(outputs))
        self.first = linear_layer(inputs, hidden, dropout)
        self.blocks = nn.Sequential(*(ResidualBlock(hidden, dropout) for _ in range(blocks)))
        self.last = nn.Linear(hidden, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 32) from `LiftingCodec.encode_input` -> (N, 48) mm relative to the pelvis."""
        x = (x - self.input_mean) / self.input_std
        return self.last(self.blocks(self.first(x))) * self.output_std + self.output_mean

    def set_normalisation(self, inputs: torch.Tensor, targets: torch.Tensor) -> None:
        """Take means and standard deviations from training data, (N, 32) and (N, 48).

        Values that never change, such as the pelvis', get a standard deviation of 1.

        Raises:
            InvalidInputError: fewer than two rows, or a wrong number of columns.
        """
        for name, values, mean, std in (
                ('inputs', inputs, self.input_mean, self.input_std),
                ('targets', targets, self.output_mean, self.output_std)):
            if values.ndim != 2 or values.shape[0] < 2 or values.shape[1] != len(mean):
                raise InvalidInputError(
                    f'{name}: expected shape (N >= 2, {len(mean)}), got {tuple(values.shape)}')
            spread = values.std(dim=0)
            mean.copy_(values.mean(dim=0))
            std.copy_(torch.where(spread > STD_FLOOR, spread, torch.ones_like(spread)))

    @torch.no_grad()
    def clip_weight_norms_(self, max_norm: float = 1.0) -> None:
        """Scale each linear layer's weight matrix down to a Frobenius norm of `max_norm`."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                norm = module.weight.norm()
                if norm > max_norm:
                    module.weight.mul_(max_norm / norm)
