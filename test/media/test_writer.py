import numpy as np
import pytest

from infant_pose_ros.errors import InvalidInputError, SourceError
from infant_pose_ros.media.sources import open_source
from infant_pose_ros.media.writer import fitted_picture, VideoWriter


def test_round_trip_keeps_rate_count_and_colours(tmp_path):
    path = tmp_path / 'new' / 'folder' / 'out.mp4'
    picture = np.full((48, 64, 3), (220, 60, 30), np.uint8)
    with VideoWriter(path, 12.5, (64, 48)) as writer:
        for _ in range(4):
            writer.write(picture)
        assert writer.num_frames == 4
    source = open_source(path)
    frames = list(source)
    assert source.rate_hz == pytest.approx(12.5)
    assert len(frames) == 4
    assert frames[0].image_rgb[24, 32].astype(int) == pytest.approx([220, 60, 30], abs=12)


@pytest.mark.parametrize('picture', [
    np.zeros((48, 65, 3), np.uint8), np.zeros((48, 64), np.uint8),
    np.zeros((48, 64, 3), np.float32)])
def test_another_shape_or_type_is_refused(tmp_path, picture):
    with VideoWriter(tmp_path / 'out.mp4', 30.0, (64, 48)) as writer:
        with pytest.raises(InvalidInputError, match=r'\(48, 64, 3\)'):
            writer.write(picture)
        assert writer.num_frames == 0


@pytest.mark.parametrize('rate_hz, size_wh', [(0.0, (64, 48)), (-1.0, (64, 48)), (30.0, (0, 48))])
def test_rate_and_size_must_be_positive(tmp_path, rate_hz, size_wh):
    with pytest.raises(InvalidInputError, match='positive'):
        VideoWriter(tmp_path / 'out.mp4', rate_hz, size_wh)


def test_a_place_that_can_not_be_written(tmp_path, capfd):
    (tmp_path / 'file').write_text('x')
    with pytest.raises(SourceError, match='can not be written'):
        VideoWriter(tmp_path / 'file' / 'out.mp4', 30.0, (64, 48))
    with pytest.raises(SourceError, match='can not be written'):
        VideoWriter(tmp_path / 'out.unknown', 30.0, (64, 48))
    assert capfd.readouterr().err == ''


def test_a_picture_of_another_size_is_fitted_in_on_black():
    tall = np.full((40, 10, 3), 200, np.uint8)
    fitted = fitted_picture(tall, (64, 20))     # by half: 5 px wide, in the middle of 64
    assert fitted.shape == (20, 64, 3)
    assert (fitted[:, 29:34] == 200).all()
    assert not fitted[:, :29].any() and not fitted[:, 34:].any()


def test_a_picture_that_fits_is_not_copied():
    picture = np.zeros((20, 64, 3), np.uint8)
    assert fitted_picture(picture, (64, 20)) is picture
