import pytest
import torch
from torch import nn

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.models.lifter import Lifter


def test_shapes_and_the_papers_size():
    network = Lifter().eval()
    assert network(torch.zeros(3, 32)).shape == (3, 48)
    assert sum(isinstance(module, nn.Linear) for module in network.modules()) == 6


def test_normalisation_wraps_the_network():
    network = Lifter(hidden=8).eval()
    nn.init.zeros_(network.last.weight)
    nn.init.ones_(network.last.bias)
    network.output_mean.fill_(10.0)
    network.output_std.fill_(3.0)
    assert torch.equal(network(torch.randn(2, 32)), torch.full((2, 48), 13.0))


def test_set_normalisation_takes_mean_and_spread_and_leaves_constants_alone():
    network = Lifter(hidden=8)
    inputs = torch.zeros(2, 32)
    inputs[:, 0] = torch.tensor([1.0, 3.0])
    network.set_normalisation(inputs, torch.zeros(2, 48))
    assert network.input_mean[0] == 2.0
    assert network.input_std[0] == pytest.approx(2 ** 0.5)
    assert network.input_std[1] == 1.0
    assert torch.equal(network.output_std, torch.ones(48))


def test_set_normalisation_refuses_wrong_shapes():
    with pytest.raises(InvalidInputError, match=r'inputs.*\(1, 32\)'):
        Lifter(hidden=8).set_normalisation(torch.zeros(1, 32), torch.zeros(2, 48))
    with pytest.raises(InvalidInputError, match='targets'):
        Lifter(hidden=8).set_normalisation(torch.zeros(2, 32), torch.zeros(2, 32))


def test_clip_weight_norms():
    network = Lifter(hidden=8)
    with torch.no_grad():
        network.last.weight.fill_(0.01)     # norm 0.01 * sqrt(8 * 48) = 0.196: stays
    before = network.last.weight.clone()
    network.clip_weight_norms_(1.0)
    assert torch.equal(network.last.weight, before)
    assert network.first[0].weight.norm().item() == pytest.approx(1.0)
    network.clip_weight_norms_(0.5)
    assert network.first[0].weight.norm().item() == pytest.approx(0.5)
