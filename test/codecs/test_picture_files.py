import io
import struct
import tracemalloc
import zlib

from bad_input import bad_input, FORMATS, picture_file, picture_files
import cv2
from hypothesis import given
import numpy as np
from PIL import Image
import pytest

from infant_pose_ros.codecs.picture_files import (
    check_picture_size,
    decode_picture,
    MAX_PICTURE_PIXELS,
    MAX_PICTURE_SIDE,
    read_picture,
)
from infant_pose_ros.errors import EncodingError


def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def png_that_claims(width, height, *more):
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2,
                                                               0, 0, 0))
            + b''.join(more) + chunk(b'IDAT', zlib.compress(bytes(3000), 9)) + chunk(b'IEND', b''))


def jpeg_that_claims(width, height):
    """A picture of 8x8 whose header says something else."""
    data = picture_file('JPEG', 'RGB', 8, 8)
    place = data.index(b'\xff\xc0') + 5
    return data[:place] + struct.pack('>HH', height, width) + data[place + 4:]


@given(picture_files())
@bad_input(150)
def test_whatever_comes_is_a_picture_or_one_clear_error(data):
    try:
        picture_rgb = decode_picture(data, 'file')
    except EncodingError as error:
        assert str(error).startswith('file: ') and '\n' not in str(error)
        assert len(str(error)) < 400
    else:
        assert picture_rgb.dtype == np.uint8 and picture_rgb.shape[2:] == (3,)
        assert 0 < picture_rgb[..., 0].size <= MAX_PICTURE_PIXELS


@pytest.mark.parametrize('data', [
    png_that_claims(30_000, 30_000), png_that_claims(2 ** 31 - 1, 2 ** 31 - 1),
    png_that_claims(20_000, 10), jpeg_that_claims(65_535, 65_535), jpeg_that_claims(8000, 8000),
    b'P6 100000 100000 255\n' + bytes(100),
    b'BM' + struct.pack('<IIIIiiHHIIiiII', 1000, 0, 54, 40, 40_000, 40_000, 1, 24, 0, 0, 0, 0, 0,
                        0) + bytes(1000)])
def test_a_small_file_that_claims_a_huge_picture_is_never_decoded(data):
    tracemalloc.start()     # NumPy's arrays, OpenCV's among them, are counted
    try:
        with pytest.raises(EncodingError, match='is too large'):
            decode_picture(data, 'bomb')
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_two_headers_that_disagree_are_refused():
    second = chunk(b'IHDR', struct.pack('>IIBBBBB', 16, 16, 8, 2, 0, 0, 0))
    with pytest.raises(EncodingError):
        decode_picture(png_that_claims(30_000, 3000, second), 'file')


@pytest.mark.parametrize('name', FORMATS)
def test_cut_off_anywhere_it_is_refused(name):
    data = picture_file(name, 'RGB', 60, 40)
    whole = decode_picture(data, 'file')
    # Behind the picture itself a file may hold what no picture needs (GIF's end, TIFF's tags).
    for length in [*range(0, len(data) - 400, 97), len(data) * 3 // 4]:
        try:
            cut = decode_picture(data[:length], 'file')
        except EncodingError:
            continue
        assert np.array_equal(cut, whole), f'{name} cut off at {length} of {len(data)}'


def test_a_jpeg_that_breaks_off_is_refused_though_its_thumbnail_has_an_end():
    thumbnail = picture_file('JPEG', 'RGB', 16, 16)
    data = picture_file('JPEG', 'RGB', 64, 48)
    with_thumbnail = data[:2] + b'\xff\xe5' + struct.pack('>H', len(thumbnail) + 2) + thumbnail \
        + data[2:]
    assert decode_picture(with_thumbnail, 'file').shape == (48, 64, 3)
    for length in (len(with_thumbnail) - 100, len(with_thumbnail) - 200):
        with pytest.raises(EncodingError, match='no complete JPEG or PNG'):
            decode_picture(with_thumbnail[:length], 'file')


def webcam_jpeg(**how):
    """A JPEG of noise, 80x60."""
    noise = np.random.default_rng(1).integers(0, 256, (60, 80, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, 'JPEG', **how)
    return stream.getvalue()


def without_huffman_tables(data):
    """The same JPEG as the Motion-JPEG of many webcams: the usual tables are not repeated."""
    place, kept = 2, data[:2]
    while data[place + 1] != 0xda:
        end = place + 2 + int.from_bytes(data[place + 2:place + 4], 'big')
        kept += b'' if data[place + 1] == 0xc4 else data[place:end]
        place = end
    return kept + data[place:]


@pytest.mark.parametrize('make', [
    lambda data: data[:-2], lambda data: data[:-2] + bytes(500), lambda data: data + bytes(500),
    lambda data: data + b'\xff\xd9', without_huffman_tables,
    lambda data: without_huffman_tables(data)[:-2]],
    ids=['no end', 'zeros for the end', 'zeros behind', 'two ends', 'no tables', 'neither'])
def test_what_webcams_do_to_a_whole_jpeg_does_it_no_harm(make):
    data = webcam_jpeg()
    assert make(data) != data
    assert np.array_equal(decode_picture(make(data), 'file'), decode_picture(data, 'file'))


@pytest.mark.parametrize('padding', [b'', bytes(20_000)], ids=['cut', 'filled with zeros'])
def test_a_jpeg_that_breaks_off_is_never_half_a_picture(padding):
    data = webcam_jpeg()
    for length in range(len(data) * 2 // 5, len(data) - 200, 97):
        with pytest.raises(EncodingError, match='no complete JPEG or PNG'):
            decode_picture(data[:length] + padding, 'file')
    progressive = webcam_jpeg(progressive=True)
    assert decode_picture(progressive, 'file').shape == (60, 80, 3)
    with pytest.raises(EncodingError, match='no complete JPEG or PNG'):
        decode_picture(progressive[:-2] + padding, 'file')


def test_every_changed_byte_of_a_png_is_noticed_or_has_no_effect():
    data = picture_file('PNG', 'RGB', 20, 15)
    whole = decode_picture(data, 'file')
    for place in range(8, len(data)):
        changed = bytearray(data)
        changed[place] ^= 0x10
        try:
            picture_rgb = decode_picture(bytes(changed), 'file')
        except EncodingError:
            continue
        assert np.array_equal(picture_rgb, whole), f'byte {place} of {len(data)}'


@pytest.mark.parametrize('name, mode, off', [
    ('PNG', 'RGBA', 0), ('PNG', 'P', 40), ('PNG', 'L', 120), ('JPEG', 'CMYK', 12),
    ('TIFF', 'RGB', 0), ('BMP', 'RGB', 0), ('PPM', 'RGB', 0), ('WEBP', 'RGBA', 40)])
def test_other_forms_show_the_same_picture(name, mode, off):
    expected = decode_picture(picture_file('PNG', 'RGB', 40, 30), 'file').astype(int)
    found = decode_picture(picture_file(name, mode, 40, 30), 'file').astype(int)
    assert np.abs(found - expected).mean() <= off


def test_sixteen_bits_keep_the_upper_eight_and_an_animation_its_first_picture():
    ramp = np.add.outer(np.arange(30) * 5, np.arange(40) * 3) % 256
    sixteen = decode_picture(picture_file('PNG', 'I;16', 40, 30), 'file')
    assert np.abs(sixteen[..., 0].astype(int) - ramp).max() <= 1
    stream = io.BytesIO()
    first, second = (Image.fromarray(np.full((8, 8, 3), value, np.uint8)) for value in (0, 255))
    first.save(stream, 'WEBP', save_all=True, append_images=[second], lossless=True)
    assert (decode_picture(stream.getvalue(), 'file') < 5).all()


def test_a_picture_that_says_how_it_was_held_is_turned_upright():
    picture = Image.fromarray(np.zeros((20, 30, 3), np.uint8))
    exif, stream = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    picture.save(stream, 'JPEG', exif=exif)
    assert decode_picture(stream.getvalue(), 'file').shape == (30, 20, 3)


def test_sizes():
    check_picture_size('image', 7680, 4320)
    check_picture_size('image', MAX_PICTURE_SIDE, 1)
    for width, height in ((7681, 4320), (MAX_PICTURE_SIDE + 1, 1), (2 ** 32 - 1, 2 ** 32 - 1)):
        with pytest.raises(EncodingError, match=f'image: {width}x{height} is too large'):
            check_picture_size('image', width, height)
    with pytest.raises(EncodingError, match='got 0x5'):
        check_picture_size('image', 0, 5)


def test_files(tmp_path, monkeypatch):
    good = tmp_path / 'a.png'
    assert cv2.imwrite(str(good), np.full((4, 5, 3), 9, np.uint8))
    assert read_picture(good).shape == (4, 5, 3)
    assert np.array_equal(read_picture(good, is_grey=True), np.full((4, 5), 9))
    for path in (tmp_path, tmp_path / 'none.png', tmp_path / 'x\0.png'):
        with pytest.raises(EncodingError, match='no such file|can not be read'):
            read_picture(path)
    loop = tmp_path / 'loop.png'
    loop.symlink_to(loop)
    with pytest.raises(EncodingError, match='loop.png'):
        read_picture(loop)
    monkeypatch.setattr('infant_pose_ros.codecs.picture_files.MAX_FILE_BYTES', 50)
    with pytest.raises(EncodingError, match='bytes are more than the 50'):
        read_picture(good)
