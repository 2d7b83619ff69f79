import pytest
import torch

from infant_pose_ros.errors import SettingsError
from infant_pose_ros.models.detector import build_detector
from infant_pose_ros.models.lifter import Lifter
from infant_pose_ros.models.pose import PoseNetwork
from infant_pose_ros.skeleton import Joint
from infant_pose_ros.training.transfer import load_start, LSP_ORDER, MPI_ORDER, reorder_


def test_orders_of_other_sets_by_hand():
    # LSP: legs, right arm from the wrist, left arm from the shoulder, neck, head top.
    assert LSP_ORDER == (0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15, 8, 9, 6, 7)
    # MPI-INF-3DHP: neck 1, pelvis 4, neck and head 5 and 6, left arm 9 to 11, and so on.
    assert MPI_ORDER[:4] == (Joint.THORAX, Joint.PELVIS, Joint.UPPER_NECK, Joint.HEAD_TOP)
    assert MPI_ORDER[4:7] == (Joint.L_SHOULDER, Joint.L_ELBOW, Joint.L_WRIST)
    assert sorted(MPI_ORDER) == sorted(LSP_ORDER) == list(range(16))


def test_channels_take_the_meaning_of_others():
    conv = torch.nn.Conv2d(2, 16, 1)
    with torch.no_grad():
        conv.weight.copy_(torch.arange(16.0)[:, None, None, None].expand(16, 2, 1, 1))
        conv.bias.copy_(torch.arange(16.0))
    reorder_(conv, LSP_ORDER)
    # LSP's sixth keypoint is the right wrist: channel 6 now shows it, and is read as the pelvis.
    assert conv.bias[6] == Joint.R_WRIST and conv.weight[6].unique() == Joint.R_WRIST
    assert conv.bias.tolist() == list(LSP_ORDER)


def test_inputs_and_triples_are_reordered_as_a_network_in_another_order_would_see_them():
    torch.manual_seed(0)
    linear = torch.nn.Linear(32, 48)
    x = torch.randn(5, 16, 2)
    before = linear(x.flatten(1)).reshape(5, 16, 3)
    reorder_(linear, MPI_ORDER, 2, of_inputs=True)
    reorder_(linear, MPI_ORDER, 3)
    order = list(MPI_ORDER)
    after = linear(x[:, order].flatten(1)).reshape(5, 16, 3)
    assert torch.allclose(after, before[:, order], atol=1e-5)


def test_a_checkpoint_of_the_same_network_is_taken_over(tiny_checkpoints):
    arguments = {'backbone': 'resnet18', 'deconv_channels': 16}
    network = PoseNetwork(**arguments)
    load_start(network, tiny_checkpoints['pose'], 'pose', arguments)
    x = torch.rand(1, 3, 64, 64)
    from infant_pose_ros.models.checkpoints import load_checkpoint
    theirs, _ = load_checkpoint(tiny_checkpoints['pose'], 'pose')
    assert torch.equal(network.eval()(x), theirs(x))


def test_another_network_is_refused(tiny_checkpoints):
    with pytest.raises(SettingsError, match='init_from.*64'):
        load_start(Lifter(hidden=32), tiny_checkpoints['lifter'], 'lifter', {'hidden': 32})


def test_what_a_checkpoint_may_lack_keeps_its_start(tiny_checkpoints):
    arguments = {'min_size': 64, 'max_size': 96, 'refine': True}
    network = build_detector('fasterrcnn_efficientnet_lite0_fpn', **arguments)
    start = {name: values.clone() for name, values in network.state_dict().items()}
    with pytest.raises(SettingsError, match='refiner'):
        load_start(network, tiny_checkpoints['detector'], 'detector', arguments)
    load_start(network, tiny_checkpoints['detector'], 'detector', arguments,
               'roi_heads.refiner.')
    for name, values in network.state_dict().items():
        if name.startswith('roi_heads.refiner.'):
            assert torch.equal(values, start[name])
    assert not torch.equal(network.state_dict()['roi_heads.box_head.fc6.weight'],
                           start['roi_heads.box_head.fc6.weight'])
