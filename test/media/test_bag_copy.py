import numpy as np
import pytest

from infant_pose_ros.codecs.keypoint_clouds import decode_keypoints, empty_rows
from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.media.bag_copy import AddedKeypoints, copy_bag
from infant_pose_ros.media.bags import Bag, stamp_ns


def rows(track, u):
    infants = empty_rows(1)
    infants['track'], infants['u'] = track, u
    return infants


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_everything_is_copied_as_it_is_and_the_new_beside(recorded, tmp_path, storage):
    messages = [('/p/keypoints_raw', 10, recorded.cloud(empty_rows(0), 1.0)),
                ('/text', 15, recorded.text('kept')),
                ('/p/keypoints_raw', 20, recorded.cloud(rows(7, 3.0), 2.0))]
    path = recorded.bag(messages, storage=storage)
    added = {'/p/keypoints_raw': AddedKeypoints('/p/smoothed', [rows(7, 1.0), rows(7, 2.0)])}
    with Bag(path) as bag:
        assert copy_bag(bag, tmp_path / 'copy', added) == []
        before = [(c.topic, time, bytes(data)) for c, time, data in bag.stored()]
    with Bag(tmp_path / 'copy') as copy:
        assert copy.is_mcap is (storage == 'mcap')
        assert [(c.topic, time, bytes(data)) for c, time, data in copy.stored(
            ['/p/keypoints_raw', '/text'])] == before
        new = list(copy.messages(['/p/smoothed']))
    assert [time for _, time, _ in new] == [10, 20]
    assert [stamp_ns(message) for _, _, message in new] == [1_000_000_000, 2_000_000_000]
    assert new[1][2].header.frame_id == 'optics'
    assert [decode_keypoints(message)['u'][0, 0] for _, _, message in new] == [1.0, 2.0]
    assert np.array_equal(decode_keypoints(new[1][2])['joint'][0], np.arange(16))


def test_a_topic_of_an_earlier_time_is_replaced(recorded, tmp_path):
    path = recorded.bag([('/raw', 10, recorded.cloud(empty_rows(0), 1.0)),
                         ('/new', 10, recorded.cloud(rows(1, 5.0), 1.0))])
    with Bag(path) as bag:
        copy_bag(bag, tmp_path / 'copy', {'/raw': AddedKeypoints('/new', [rows(2, 6.0)])})
    with Bag(tmp_path / 'copy') as copy:
        assert copy.count('/new') == 1
        assert decode_keypoints(copy.first('/new'))['u'][0, 0] == 6.0


def test_a_full_disk_is_one_clear_error(recorded, tmp_path, monkeypatch):
    from rosbags.rosbag2 import Writer

    path = recorded.bag([('/text', 15, recorded.text('kept'))])

    def write(*_):
        raise OSError(28, 'No space left on device')

    with Bag(path) as bag:
        monkeypatch.setattr(Writer, 'write', write)
        with pytest.raises(InvalidInputError, match='copy: can not be written: .*No space left'):
            copy_bag(bag, tmp_path / 'copy', {})


def test_an_older_bag_is_replaced_but_nothing_else(recorded, tmp_path):
    path = recorded.bag([('/text', 15, recorded.text('kept'))])
    with Bag(path) as bag:
        for _ in range(2):
            copy_bag(bag, tmp_path / 'copy', {})
        (tmp_path / 'thesis').mkdir()
        (tmp_path / 'thesis' / 'text').write_text('years')
        (tmp_path / 'thesis' / 'metadata.yaml').write_text('pages: 300')
        for place in (tmp_path / 'thesis', tmp_path / 'thesis' / 'text'):
            with pytest.raises(InvalidInputError, match='is no bag'):
                copy_bag(bag, place, {})
        with pytest.raises(InvalidInputError, match='is or holds the input itself'):
            copy_bag(bag, path, {})
        (tmp_path / 'metadata.yaml').write_text('of a bag that holds the other one')
        with pytest.raises(InvalidInputError, match='is or holds the input itself'):
            copy_bag(bag, tmp_path, {})
    assert (tmp_path / 'thesis' / 'text').read_text() == 'years'
    with Bag(path) as bag:
        assert bag.count('/text') == 1
