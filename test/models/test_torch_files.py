import pytest
import torch

from infant_pose_ros.models.torch_files import load_tensors


def test_tensors_and_plain_values_come_back(tmp_path):
    torch.save({'a': torch.arange(3), 'b': 1.5, 'c': {'d': 'text'}}, tmp_path / 'x.pt')
    content = load_tensors(tmp_path / 'x.pt')
    assert torch.equal(content['a'], torch.arange(3))
    assert (content['b'], content['c']) == (1.5, {'d': 'text'})


def test_what_is_no_dictionary_is_refused(tmp_path):
    torch.save([1, 2], tmp_path / 'x.pt')
    with pytest.raises(ValueError, match='holds a list, expected a dictionary'):
        load_tensors(tmp_path / 'x.pt')
    with pytest.raises(ValueError, match='FileNotFoundError'):
        load_tensors(tmp_path / 'none.pt')
    (tmp_path / 'x.pt').write_bytes(b'')
    with pytest.raises(ValueError, match='EOFError'):
        load_tensors(tmp_path / 'x.pt')
