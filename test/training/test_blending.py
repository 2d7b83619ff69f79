import pytest
import torch
from torch import nn

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.training.blending import blend_


def linear(value):
    layer = nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1))
    with torch.no_grad():
        layer[0].weight.fill_(value)
        layer[1].running_var.fill_(value)
        layer[1].num_batches_tracked.fill_(int(value))
    return layer


@pytest.mark.parametrize(('share', 'expected'), [(0.0, 2.0), (0.25, 3.0), (1.0, 6.0)])
def test_weights_lie_between(share, expected):
    network, start = linear(6.0), linear(2.0)
    assert blend_(network, start, share) is network
    assert network[0].weight.tolist() == [[expected, expected]]
    assert network[1].running_var.tolist() == [expected]
    assert network[1].num_batches_tracked == 6
    assert start[0].weight.tolist() == [[2.0, 2.0]]


@pytest.mark.parametrize('share', [-0.1, 1.5, float('nan')])
def test_bad_share(share):
    with pytest.raises(InvalidInputError, match='share: expected 0 to 1'):
        blend_(linear(1.0), linear(2.0), share)


def test_another_network():
    with pytest.raises(InvalidInputError, match='0.weight differs'):
        blend_(linear(1.0), nn.Sequential(nn.Linear(3, 1), nn.BatchNorm1d(1)), 0.5)
