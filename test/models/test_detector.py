import pytest
import torch
import torchvision

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.models.detector import (
    ARCHITECTURES,
    BoxRefiner,
    build_detector,
    LiteFpn,
)


@pytest.mark.parametrize('architecture', ARCHITECTURES)
def test_every_architecture_has_two_classes_and_runs(architecture):
    network = build_detector(architecture, min_size=64, max_size=96).eval()
    assert network.roi_heads.box_predictor.cls_score.out_features == 2
    with torch.no_grad():
        out = network([torch.rand(3, 48, 64)])[0]
    assert out['boxes'].shape == (len(out['scores']), 4)
    assert set(out['labels'].tolist()) <= {1}


def test_lite_detector_learns_from_a_target():
    network = build_detector('fasterrcnn_efficientnet_lite0_fpn', min_size=64, max_size=96)
    losses = network([torch.rand(3, 64, 96)], [{
        'boxes': torch.tensor([[10.0, 10.0, 60.0, 50.0]]), 'labels': torch.tensor([1])}])
    total = sum(losses.values())
    total.backward()
    assert torch.isfinite(total)
    assert network.backbone.body.stem[0].weight.grad.abs().sum() > 0


def test_lite_pyramid_has_strides_16_32_64():
    with torch.no_grad():
        features = LiteFpn()(torch.zeros(1, 3, 128, 192))
    assert {name: tuple(value.shape) for name, value in features.items()} == {
        '0': (1, 128, 8, 12), '1': (1, 128, 4, 6), 'pool': (1, 128, 2, 3)}


def test_lite_backbone_starts_from_imagenet():
    assert LiteFpn(pretrained=True).body.stem[1].running_mean.abs().sum() > 0
    assert LiteFpn().body.stem[1].running_mean.abs().sum() == 0


def test_unknown_architecture():
    with pytest.raises(InvalidInputError, match='yolo'):
        build_detector('yolo')


def test_pretrained_backbone_from_a_classifier(tmp_path):
    classifier = torchvision.models.resnet50(weights=None)
    path = tmp_path / 'resnet50.pth'
    torch.save(classifier.state_dict(), path)
    network = build_detector('fasterrcnn_resnet50_fpn', pretrained=str(path))
    assert torch.equal(network.backbone.body.conv1.weight, classifier.conv1.weight)


def test_pretrained_that_does_not_fit(tmp_path):
    path = tmp_path / 'small.pth'
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), path)
    with pytest.raises(InvalidInputError, match='small.pth'):
        build_detector('fasterrcnn_resnet50_fpn', pretrained=str(path))
    with pytest.raises(InvalidInputError, match='path'):
        build_detector('fasterrcnn_resnet50_fpn', pretrained=True)


def test_a_refiner_changes_nothing_at_first_and_then_learns_to_move_edges():
    torch.manual_seed(0)
    refiner = BoxRefiner(4)
    features = {'0': torch.randn(2, 4, 8, 12), '1': torch.randn(2, 4, 4, 6)}
    boxes = [torch.tensor([[20.0, 20, 80, 90], [5, 5, 50, 40]]), torch.zeros(0, 4)]
    assert torch.equal(refiner(features, boxes), boxes[0])
    assert refiner(features, [boxes[1], boxes[1]]).shape == (0, 4)
    assert refiner.loss(features, [boxes[1], boxes[1]]) == 0
    optimiser = torch.optim.Adam(refiner.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        torch.manual_seed(1)            # the same errors again and again
        loss = refiner.loss(features, boxes)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_a_detector_with_a_refiner_runs_in_training_and_in_use():
    network = build_detector(
        'fasterrcnn_efficientnet_lite0_fpn', min_size=64, max_size=96, refine=True)
    pictures = [torch.rand(3, 64, 96), torch.rand(3, 64, 96)]
    losses = network(pictures, [
        {'boxes': torch.tensor([[10.0, 10.0, 60.0, 50.0]]), 'labels': torch.tensor([1])},
        {'boxes': torch.zeros(0, 4), 'labels': torch.zeros(0, dtype=torch.int64)}])
    assert torch.isfinite(losses['loss_refine'])
    sum(losses.values()).backward()
    network.eval()
    network.roi_heads.score_thresh = 0.0
    with torch.no_grad():
        found = network(pictures)
        network.roi_heads.score_thresh = 1.1
        nothing = network(pictures)
    for each in found:
        assert len(each['boxes']) == len(each['scores']) > 0
        assert (each['boxes'] >= 0).all() and (each['boxes'][:, 2] <= 96).all()
    assert all(each['boxes'].shape == (0, 4) for each in nothing)


def test_boxes_that_the_second_stage_finds_are_refined_in_training():
    network = build_detector(
        'fasterrcnn_efficientnet_lite0_fpn', min_size=64, max_size=96, refine=True)
    heads, true = network.roi_heads, torch.tensor([[10.0, 10.0, 60.0, 50.0]])
    features = network.backbone(torch.rand(3, 3, 64, 96))
    proposals = [torch.tensor([[80.0, 0, 90, 9], [12.0, 10, 60, 50], [10.0, 10, 60, 52]]),
                 torch.tensor([[12.0, 10, 60, 50]]), torch.tensor([[80.0, 0, 90, 9]])]
    found = heads._nearly_found(features, proposals, [true, torch.zeros(0, 4), true],
                                [(64, 96)] * 3)
    assert [len(boxes) for boxes, _ in found] == [2, 0, 0]
    assert torch.equal(found[0][1], true.repeat(2, 1))
    assert not found[0][0].requires_grad and (found[0][0] - proposals[0][1:]).abs().max() < 20
    nobody = heads._nearly_found(features, proposals, [torch.zeros(0, 4)] * 3, [(64, 96)] * 3)
    assert [len(boxes) for boxes, _ in nobody] == [0, 0, 0]


def test_a_refiner_needs_the_small_detector():
    with pytest.raises(InvalidInputError, match='refine'):
        build_detector('fasterrcnn_resnet50_fpn', refine=True)
