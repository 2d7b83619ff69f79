import numpy as np
import pytest

from infant_pose_ros.codecs.heatmaps import HeatmapCodec
from infant_pose_ros.errors import InvalidInputError

ALL_VISIBLE = np.ones(16, dtype=bool)


def logits(heatmaps):
    """What a network trained by cross-entropy would put out for these targets."""
    return np.log(np.maximum(heatmaps, 1e-12))[None]


def encode_all_at(codec, point):
    return codec.encode(np.tile(np.array(point, dtype=float), (16, 1)), ALL_VISIBLE)


def test_cells_tile_the_picture():
    codec = HeatmapCodec(64, stride=4)
    assert codec.heatmap_size == 16
    np.testing.assert_allclose(codec.cells_to_model([0, 15]), [1.5, 61.5])
    np.testing.assert_allclose(codec.model_to_cells([-0.5, 63.5]), [-0.5, 15.5])


def test_encode_by_hand():
    codec = HeatmapCodec(64, stride=4, sigma_cells=2)
    # Model px (1.5 + 4 * 5, 1.5 + 4 * 8) is the centre of column 5, row 8.
    heatmaps, weight = encode_all_at(codec, (21.5, 33.5))
    assert heatmaps.shape == (16, 16, 16)
    assert heatmaps.dtype == weight.dtype == np.float32
    assert (weight == 1).all()
    assert heatmaps[0].max() == heatmaps[0, 8, 5] == 1
    assert heatmaps[3, 8, 7] == pytest.approx(np.exp(-0.5))  # 2 cells, one sigma
    assert heatmaps[3, 9, 6] == pytest.approx(np.exp(-0.25))  # 1 cell each way


def test_encode_leaves_out_what_can_not_be_learnt():
    codec = HeatmapCodec(64)
    keypoints = np.full((16, 2), 30.0)
    keypoints[0] = np.nan
    keypoints[1] = (-0.6, 30)
    keypoints[2] = (30, 63.5)
    keypoints[3] = (-0.5, 63.4)  # just inside
    visible = ALL_VISIBLE.copy()
    visible[4] = False
    heatmaps, weight = codec.encode(keypoints, visible)
    np.testing.assert_array_equal(weight, [0, 0, 0, 1, 0] + [1] * 11)
    assert not heatmaps[[0, 1, 2, 4]].any()
    assert heatmaps[3].max() > 0.7
    assert np.isfinite(heatmaps).all()


@pytest.mark.parametrize('activation', ['softmax', 'none'])
@pytest.mark.parametrize('input_size', [128, 192])
def test_round_trip_to_a_fraction_of_a_pixel(activation, input_size):
    codec = HeatmapCodec(input_size, activation=activation)
    keypoints = np.random.default_rng(0).uniform(20, input_size - 20, (16, 2))
    heatmaps, _ = codec.encode(keypoints, ALL_VISIBLE)
    output = logits(heatmaps) if activation == 'softmax' else heatmaps[None]
    found, score, covariance = codec.decode(output)
    assert found.shape == (1, 16, 2)
    assert score.shape == (1, 16)
    assert covariance.shape == (1, 16, 2, 2)
    np.testing.assert_allclose(found[0], keypoints, atol=0.1)
    assert (score > 0.9).all()


@pytest.mark.parametrize('activation', ['softmax', 'none'])
def test_round_trip_at_the_border_stays_within_a_cell(activation):
    codec = HeatmapCodec(64, activation=activation)
    heatmaps, _ = encode_all_at(codec, (0, 63))
    output = logits(heatmaps) if activation == 'softmax' else heatmaps[None]
    found, _, _ = codec.decode(output)
    # Half of the Gaussian lies outside, so that its mean moves inwards, by less than sigma.
    assert (np.abs(found - (0, 63)) < 8).all()


@pytest.mark.parametrize('activation', ['softmax', 'none'])
def test_a_batch_is_its_members(activation):
    codec = HeatmapCodec(64, activation=activation)
    output = np.random.default_rng(0).normal(size=(3, 16, 16, 16))
    together = codec.decode(output)
    for i in range(3):
        for whole, alone in zip(together, codec.decode(output[i:i + 1])):
            np.testing.assert_allclose(whole[i], alone[0], rtol=1e-4, atol=1e-4)


def test_softmax_ignores_what_is_added_to_a_whole_map():
    codec = HeatmapCodec(64)
    output = np.random.default_rng(0).normal(size=(1, 16, 16, 16)) * 3
    for one, other in zip(codec.decode(output), codec.decode(output + 500)):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


def test_window_and_score_by_hand():
    codec = HeatmapCodec(64, stride=4, sigma_cells=1)  # a window of 5 x 5 cells
    output = np.full((1, 16, 16, 16), -np.inf)
    output[..., 4, 4] = np.log(3)
    output[..., 4, 5] = np.log(1)
    output[..., 12, 13] = np.log(1)  # out of the window
    found, score, covariance = codec.decode(output)
    assert score[0, 0] == pytest.approx(4 / 5)
    np.testing.assert_allclose(found[0, 0], [1.5 + 4 * 4.25, 1.5 + 4 * 4], rtol=1e-6)
    # Inside: var x 3/16, less than a target's own blur: the floor of a quarter of a cell stays.
    # Whole map: mean x 6, y 5.6; var x 12.4, y 10.24, cov 11.2; a fifth.
    expected = np.array([[1 / 16 + 12.4 / 5, 11.2 / 5], [11.2 / 5, 1 / 16 + 10.24 / 5]]) * 16
    np.testing.assert_allclose(covariance[0, 0], expected, rtol=1e-4)


def test_covariance_has_a_floor_and_is_that_of_the_map():
    codec = HeatmapCodec(192)
    output = np.full((1, 16, 48, 48), -np.inf)
    output[..., 20, 20] = 0
    found, score, covariance = codec.decode(output)
    np.testing.assert_allclose(found[0, 0], [81.5, 81.5])
    assert score[0, 0] == 1
    np.testing.assert_allclose(covariance[0, 0], np.eye(2), atol=1e-6)  # (0.25 * 4)^2
    # A diagonal line: thin across, long along it.
    output[...] = -np.inf
    for step in range(-2, 3):
        output[..., 20 + step, 20 + step] = 0
    covariance = codec.decode(output)[2][0, 0]
    # Along the line 4 cells^2, less 3.428 of the target's own blur inside 9 x 9 cells.
    np.testing.assert_allclose(np.linalg.eigvalsh(covariance), [1, 0.572 * 16], rtol=1e-2)
    assert covariance[0, 1] > 0


def test_a_flat_map_scores_low_and_is_uncertain():
    codec = HeatmapCodec(192)
    _, score, covariance = codec.decode(np.zeros((1, 16, 48, 48)))
    assert (score < 0.05).all()
    # Variance of 48 equal cells: (48^2 - 1) / 12 = 191.9 cells^2.
    assert (covariance[..., 0, 0] > 0.95 * 191.9 * 16).all()


def test_two_equal_peaks_score_a_half():
    codec = HeatmapCodec(192)
    one, _ = encode_all_at(codec, (50, 90))
    other, _ = encode_all_at(codec, (150, 90))
    _, score, covariance = codec.decode(logits(one + other))
    np.testing.assert_allclose(score, 0.475, atol=0.02)
    assert (covariance[..., 0, 0] > 3 * covariance[..., 1, 1]).all()


def test_peak_height_is_the_score_of_plain_heatmaps():
    codec = HeatmapCodec(64, activation='none')
    heatmaps, _ = encode_all_at(codec, (21.5, 33.5))
    found, score, _ = codec.decode(np.stack([0.4 * heatmaps - 0.01, 3 * heatmaps]))
    np.testing.assert_allclose(score[0], 0.39, atol=1e-6)
    np.testing.assert_allclose(score[1], 1)
    np.testing.assert_allclose(found, np.broadcast_to([21.5, 33.5], (2, 16, 2)), atol=1e-3)


@pytest.mark.parametrize('activation, value', [
    ('softmax', np.nan), ('softmax', np.inf), ('none', np.nan), ('none', 0.0), ('none', -1.0)])
def test_a_map_without_a_peak_is_a_missing_keypoint(activation, value):
    codec = HeatmapCodec(64, activation=activation)
    heatmaps, _ = encode_all_at(codec, (30, 30))
    output = heatmaps[None].copy()
    output[0, 2] = value
    found, score, covariance = codec.decode(output)
    assert score[0, 2] == 0
    assert np.isnan(found[0, 2]).all()
    assert np.isnan(covariance[0, 2]).all()
    others = np.arange(16) != 2
    assert np.isfinite(found[0, others]).all()
    assert np.isfinite(covariance[0, others]).all()


def test_decode_leaves_its_input_alone_and_takes_an_empty_batch():
    codec = HeatmapCodec(64)
    output = np.random.default_rng(0).normal(size=(1, 16, 16, 16)).astype(np.float32)
    before = output.copy()
    codec.decode(output)
    np.testing.assert_array_equal(output, before)
    found, score, covariance = codec.decode(np.zeros((0, 16, 16, 16)))
    assert found.shape == (0, 16, 2)
    assert score.shape == (0, 16)
    assert covariance.shape == (0, 16, 2, 2)


@pytest.mark.parametrize('arguments', [
    {'input_size': 0}, {'input_size': 66}, {'input_size': 64, 'stride': 0},
    {'input_size': 64, 'sigma_cells': 0}, {'input_size': 64, 'activation': 'sigmoid'}])
def test_bad_arguments_are_refused(arguments):
    with pytest.raises(InvalidInputError, match='heatmaps'):
        HeatmapCodec(**arguments)


def test_bad_shapes_are_refused():
    codec = HeatmapCodec(64)
    with pytest.raises(InvalidInputError, match='expected'):
        codec.decode(np.zeros((16, 16, 16)))
    with pytest.raises(InvalidInputError, match='expected'):
        codec.decode(np.zeros((1, 16, 16, 12)))
    with pytest.raises(InvalidInputError, match='expected'):
        codec.encode(np.zeros((16, 3)), ALL_VISIBLE)
    with pytest.raises(InvalidInputError, match='expected'):
        codec.encode(np.zeros((16, 2)), ALL_VISIBLE[:4])
