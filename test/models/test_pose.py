import pytest
from safetensors.torch import save_file
import torch
import torchvision

from infant_pose_ros.errors import CheckpointError, InvalidInputError
from infant_pose_ros.models.pose import PoseNetwork, resnet_body


@pytest.mark.parametrize('backbone', ['resnet18', 'resnet50', 'efficientnet_lite0'])
def test_heatmaps_are_a_quarter_of_the_input(backbone):
    network = PoseNetwork(backbone, deconv_channels=8).eval()
    with torch.no_grad():
        assert network(torch.rand(2, 3, 64, 64)).shape == (2, 16, 16, 16)


def test_the_papers_network_has_34_million_parameters():
    count = sum(value.numel() for value in PoseNetwork('resnet50').parameters())
    assert count / 1e6 == pytest.approx(34.0, abs=0.1)


def test_the_mean_colour_becomes_zero_inside():
    network = PoseNetwork('resnet18', deconv_channels=8).eval()
    seen = []
    network.backbone[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with torch.no_grad():
        network(network.mean.expand(1, 3, 32, 32))
    assert seen[0].abs().max() < 1e-6


def test_normalisation_is_not_part_of_the_weights():
    assert not {'mean', 'std'} & set(PoseNetwork('resnet18', 8).state_dict())


def test_unknown_backbone():
    with pytest.raises(InvalidInputError, match='vgg.*resnet50'):
        PoseNetwork('vgg')


def test_pretrained_resnet_needs_a_path():
    with pytest.raises(InvalidInputError, match='path'):
        PoseNetwork('resnet18', pretrained=True)


@pytest.mark.parametrize('suffix', ['.safetensors', '.pth'])
def test_pretrained_resnet_takes_a_state_dict(tmp_path, suffix):
    state = torchvision.models.resnet18(weights=None).state_dict()
    path = str(tmp_path / f'resnet18{suffix}')
    save_file(state, path) if suffix == '.safetensors' else torch.save(state, path)
    assert torch.equal(resnet_body('resnet18', path)[0].weight, state['conv1.weight'])


@pytest.mark.parametrize('name', ['missing.pth', 'missing.safetensors'])
def test_missing_pretrained_file_is_named(tmp_path, name):
    with pytest.raises(CheckpointError, match=name):
        PoseNetwork('resnet18', pretrained=str(tmp_path / name))


def test_pretrained_file_of_another_network(tmp_path):
    path = tmp_path / 'other.pth'
    torch.save({'weight': torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match='other.pth.*resnet18'):
        PoseNetwork('resnet18', pretrained=str(path))
