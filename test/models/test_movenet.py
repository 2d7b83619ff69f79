import json

import numpy as np
import pytest
import torch

from infant_pose_ros.errors import CheckpointError, InvalidInputError
from infant_pose_ros.models.movenet import (
    decode_maps,
    graph_name,
    load_movenet,
    MoveNet,
    MoveNetBody,
    MoveNetMaps,
    scaled_channels,
)


def write_movenet(folder, network, name='model.json', dtype='float16'):
    """The network as a graph model, in TensorFlow's order of axes."""
    entries, data = [], b''
    for key, value in network.state_dict().items():
        if value.dim() == 4:
            value = value.permute((2, 3, 0, 1) if value.shape[1] == 1 else (2, 3, 1, 0))
        entries.append({'name': 'Call/center_net/model_1/model' + graph_name(key) if
                        not graph_name(key).startswith('/model') else
                        'Call/center_net' + graph_name(key),
                        'shape': list(value.shape), 'dtype': 'float32',
                        'quantization': {'dtype': dtype}})
        data += value.numpy().astype(dtype).tobytes()
    (folder / 'movenet.bin').write_bytes(data)
    path = folder / name
    path.write_text(json.dumps(
        {'weightsManifest': [{'paths': ['movenet.bin'], 'weights': entries}]}))
    return path


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(3)
    return MoveNet().eval()


@pytest.fixture
def graph(tmp_path, network):
    return write_movenet(tmp_path, network, dtype='float32')


@pytest.mark.parametrize(('channels', 'width', 'expected'), [
    (32, 1.0, 32), (32, 1.75, 56), (16, 1.75, 32), (24, 1.75, 40), (320, 1.75, 560), (8, 0.1, 8)])
def test_channels_are_multiples_of_8(channels, width, expected):
    assert scaled_channels(channels, width) == expected


def test_pyramid_is_a_quarter_of_the_input():
    with torch.no_grad():
        assert MoveNetBody().eval()(torch.zeros(2, 3, 64, 96)).shape == (2, 24, 16, 24)


@pytest.mark.parametrize(('variant', 'millions'), [('lightning', 2.318), ('thunder', 6.226)])
def test_parameters_as_in_the_graphs(variant, millions):
    count = sum(value.numel() for value in MoveNet(variant).parameters())
    assert count / 1e6 == pytest.approx(millions, abs=1e-3)


def test_unknown_variant():
    with pytest.raises(InvalidInputError, match='storm.*lightning'):
        MoveNet('storm')


def test_graph_round_trip(graph, network):
    image = torch.rand(1, 3, 64, 64)
    loaded = load_movenet(graph)
    with torch.no_grad():
        for ours, theirs in zip(network(image), loaded(image)):
            assert torch.equal(ours, theirs)


def test_folder_names_the_variant(tmp_path, network):
    write_movenet(tmp_path, network, name='movenet-lightning.json')
    assert load_movenet(tmp_path, 'lightning').input_size == 192
    with pytest.raises(CheckpointError, match='movenet-thunder.json'):
        load_movenet(tmp_path, 'thunder')


def test_weights_of_the_other_variant(graph):
    with pytest.raises(CheckpointError, match=r'Conv1.*\(32, 3, 3, 3\).*\(56, 3, 3, 3\)'):
        load_movenet(graph, 'thunder')


def test_a_graph_without_a_tensor(graph):
    content = json.loads(graph.read_text())
    for entry in content['weightsManifest'][0]['weights']:
        entry['name'] = entry['name'].replace('/block_7_project/', '/block_7_other/')
    graph.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match='block_7_project.*found 0'):
        load_movenet(graph)


def maps_with(people, keypoints, offsets, size=48):
    """Maps of (x, y, logit) centres, of (x, y, logit) of keypoint 0 and its offset (dx, dy)."""
    heat, centre = torch.full((1, 17, size, size), -20.0), torch.full((1, 1, size, size), -20.0)
    for x, y, logit in people:
        centre[0, 0, y, x] = logit
    for x, y, logit in keypoints:
        heat[0, 0, y, x] = logit
    regression = torch.zeros(1, 34, size, size)
    regression[0, 0], regression[0, 1] = -10.0, 4.0         # y, x of keypoint 0
    moved = torch.zeros(1, 34, size, size)
    moved[0, 0], moved[0, 1] = offsets[1], offsets[0]
    return MoveNetMaps(heat, centre, regression, moved)


def test_decoding_by_hand():
    # the person in the middle (24, 24) wins over a surer one at the edge; from it keypoint 0 is
    # near (28, 14), so that the cell beside it wins over a surer one far away
    maps = maps_with([(24, 24, 0.0), (3, 40, 2.0)], [(29, 14, 0.0), (5, 40, 3.0)], (0.5, 0.25))
    keypoints, score = decode_maps(maps)
    assert keypoints.shape == (1, 17, 2) and score.shape == (1, 17)
    np.testing.assert_allclose(keypoints[0, 0], [29.5 * 4 - 0.5, 14.25 * 4 - 0.5])
    assert score[0, 0] == pytest.approx(0.5)


def test_decoding_follows_a_person_at_the_edge_when_alone():
    maps = maps_with([(3, 40, 2.0)], [(29, 14, 0.0), (8, 30, 0.0)], (0.0, 0.0))
    np.testing.assert_allclose(decode_maps(maps)[0][0, 0], [8 * 4 - 0.5, 30 * 4 - 0.5])


def test_pictures_of_a_batch_are_decoded_on_their_own():
    one = maps_with([(24, 24, 0.0)], [(29, 14, 0.0)], (0.5, 0.25))
    two = maps_with([(10, 30, 0.0)], [(14, 20, 1.0)], (0.0, 0.0))
    both = MoveNetMaps(*(torch.cat(pair) for pair in zip(one, two)))
    keypoints, score = decode_maps(both)
    for index, alone in enumerate((one, two)):
        np.testing.assert_allclose(keypoints[index], decode_maps(alone)[0][0])
        np.testing.assert_allclose(score[index], decode_maps(alone)[1][0])
