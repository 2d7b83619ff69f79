import sys

import numpy as np
import pytest

from infant_pose_ros.errors import MissingDependencyError, SourceError
from infant_pose_ros.media.bags import Bag, is_bag, stamp_ns


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_messages_by_time_with_their_topics(recorded, storage):
    path = recorded.bag([('/a', 2_000, recorded.text('two')), ('/b', 3_000, recorded.text('x')),
                         ('/a', 1_000, recorded.text('one'))], storage=storage)
    with Bag(path) as bag:
        assert bag.topics == {'/a': 'std_msgs/msg/String', '/b': 'std_msgs/msg/String'}
        assert (bag.count('/a'), bag.count('/none')) == (2, 0)
        assert bag.is_mcap is (storage == 'mcap')
        assert [(topic, time, message.data) for topic, time, message in bag.messages(['/a'])] == [
            ('/a', 1_000, 'one'), ('/a', 2_000, 'two')]
        assert bag.first('/b').data == 'x'
        assert len(list(bag.stored())) == 3 and list(bag.stored(['/none'])) == []
    bag.close()     # again


def test_the_stamp_of_a_header(recorded):
    assert stamp_ns(recorded.camera_info(3.5)) == 3_500_000_000


def test_what_a_bag_is(recorded, tmp_path):
    path = recorded.bag([('/a', 1, recorded.text('x'))])
    (file,) = path.glob('*.mcap')
    assert is_bag(path) and is_bag(file)
    (tmp_path / 'metadata.yaml').write_text('pictures: 5')          # of something else
    assert not is_bag(tmp_path)
    assert not is_bag(tmp_path / 'none.mcap') and not is_bag(path / 'metadata.yaml')
    with Bag(file) as bag:
        assert bag.count('/a') == 1 and bag.is_mcap


@pytest.mark.parametrize('name', ['metadata.yaml', 'bag.mcap'])
def test_damage_is_named(recorded, name):
    path = recorded.bag([('/a', 1, recorded.text('x' * 300))])
    (path / name).write_bytes((path / name).read_bytes()[:60])
    with pytest.raises(SourceError, match='bag .*: '), Bag(path) as bag:
        list(bag.messages(['/a']))


def damaged(data, rng):
    """The bytes with some of them changed, or cut off."""
    data = bytearray(data)
    for place in rng.integers(len(data), size=20):
        data[place] = rng.integers(256)
    return bytes(data[:rng.integers(1, len(data))] if rng.random() < 0.3 else data)


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_whatever_is_damaged_is_one_clear_error(recorded, storage):
    path = recorded.bag([('/a', time, recorded.text('x' * 300)) for time in range(1, 9)], storage)
    (file,) = (each for each in path.iterdir() if each.suffix in ('.mcap', '.db3'))
    whole, errors = file.read_bytes(), 0
    for seed in range(60):
        file.write_bytes(damaged(whole, np.random.default_rng(seed)))
        try:
            with Bag(path) as bag:
                list(bag.messages(['/a']))
        except SourceError:
            errors += 1
    assert errors > 20


def test_a_topic_that_only_the_metadata_knows(recorded):
    path = recorded.bag([('/a', 1, recorded.text('x'))])
    with Bag(path) as bag, pytest.raises(SourceError, match='holds no message of /b'):
        bag.first('/b')


def test_a_folder_that_is_no_bag(tmp_path):
    with pytest.raises(SourceError, match='can not be read'):
        Bag(tmp_path)


def test_without_rosbags_the_mend_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'rosbags', None)
    with pytest.raises(MissingDependencyError, match='pip install rosbags'):
        Bag(tmp_path)
