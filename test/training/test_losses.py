import math

import pytest
import torch

from infant_pose_ros.training.losses import heatmap_cross_entropy, heatmap_mse


def test_cross_entropy_is_zero_for_the_target_itself_and_log_n_for_a_flat_map():
    target = torch.zeros(1, 1, 4, 4)
    target[0, 0, 1, 2] = 1.0
    weight = torch.ones(1, 1)
    flat = torch.zeros(1, 1, 4, 4)
    assert heatmap_cross_entropy(flat, target, weight).item() == pytest.approx(math.log(16))
    sure = flat.clone()
    sure[0, 0, 1, 2] = 50.0
    assert heatmap_cross_entropy(sure, target, weight).item() == pytest.approx(0.0, abs=1e-6)


def test_cross_entropy_ignores_the_target_s_scale_and_keypoints_without_weight():
    torch.manual_seed(0)
    logits, target = torch.randn(2, 2, 4, 4), torch.rand(2, 2, 4, 4)
    weight = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    first = heatmap_cross_entropy(logits, target, weight)
    assert heatmap_cross_entropy(logits, 7 * target, weight).item() == pytest.approx(first.item())
    changed = logits.clone()
    changed[:, 1] = 100 * torch.randn(2, 4, 4)
    assert heatmap_cross_entropy(changed, target, weight).item() == pytest.approx(first.item())
    assert heatmap_cross_entropy(logits, target, torch.zeros(2, 2)).item() == 0.0


def test_mse_by_hand():
    output, target = torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, 2)
    output[0, 0, 0, 0] = 2.0     # squared error 4 over 4 cells: 1
    output[0, 1] = 10.0          # without weight
    assert heatmap_mse(output, target, torch.tensor([[1.0, 0.0]])).item() == pytest.approx(1.0)


def test_mse_s_foreground_weighs_cells_near_the_keypoint():
    output, target = torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
    target[0, 0, 0, 0] = 1.0     # squared error 1, times 1 + 3, over 4 cells
    assert heatmap_mse(output, target, torch.ones(1, 1), 3.0).item() == pytest.approx(1.0)
