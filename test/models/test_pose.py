import pytest
from safetensors.torch import save_file
import torch
import torchvision

from infant_pose_ros.errors import CheckpointError, InvalidInputError
from infant_pose_ros.models import pose
from infant_pose_ros.models.checkpoints import load_checkpoint, Manifest, save_checkpoint
from infant_pose_ros.models.movenet import MoveNet
from infant_pose_ros.models.pose import PoseNetwork, resnet_body
from infant_pose_ros.skeleton import Joint


@pytest.mark.parametrize('backbone', ['resnet18', 'resnet50', 'efficientnet_lite0',
                                      'movenet_lightning', 'movenet_thunder'])
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


@pytest.fixture(scope='module')
def movenet():
    torch.manual_seed(5)
    return MoveNet('lightning').eval()


def test_movenets_heatmaps_start_those_of_the_same_joint(movenet, monkeypatch):
    monkeypatch.setattr(pose, 'load_movenet', lambda path, variant: movenet)
    network = PoseNetwork('movenet_lightning', pretrained='folder').eval()
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        ours, theirs = network(image)[0], movenet(image).heatmaps[0]
    coco = {Joint.R_ANKLE: 16, Joint.L_ANKLE: 15, Joint.R_KNEE: 14, Joint.L_KNEE: 13,
            Joint.R_HIP: 12, Joint.L_HIP: 11, Joint.R_WRIST: 10, Joint.L_WRIST: 9,
            Joint.R_ELBOW: 8, Joint.L_ELBOW: 7, Joint.R_SHOULDER: 6, Joint.L_SHOULDER: 5,
            Joint.HEAD_TOP: 0}
    for joint, index in coco.items():
        assert torch.allclose(ours[joint], theirs[index], atol=1e-5), joint
    assert torch.allclose(ours[Joint.PELVIS], (theirs[11] + theirs[12]) / 2, atol=1e-5)
    assert torch.allclose(ours[Joint.THORAX], (theirs[5] + theirs[6]) / 2, atol=1e-5)


def test_movenet_needs_a_path_and_16_keypoints(movenet, monkeypatch):
    with pytest.raises(InvalidInputError, match='path of its graph model'):
        PoseNetwork('movenet_lightning', pretrained=True)
    monkeypatch.setattr(pose, 'load_movenet', lambda path, variant: movenet)
    with pytest.raises(InvalidInputError, match='num_keypoints.*16.*17'):
        PoseNetwork('movenet_lightning', num_keypoints=17, pretrained='folder')


def test_movenets_missing_graph_is_named(tmp_path):
    with pytest.raises(CheckpointError, match='movenet-thunder.json'):
        PoseNetwork('movenet_thunder', pretrained=str(tmp_path))


def test_movenet_as_a_checkpoint(tmp_path):
    network = PoseNetwork('movenet_lightning').eval()
    save_checkpoint(tmp_path / 'p.safetensors', network, Manifest(
        'small', 'pose', 'simple_baseline', {'backbone': 'movenet_lightning'}, input_size=192))
    loaded, manifest = load_checkpoint(tmp_path / 'p.safetensors', 'pose')
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(network(image), loaded(image))
    assert manifest.num_parameters < 2.4e6
