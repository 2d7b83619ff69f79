import re

import cv2
import numpy as np
import pytest
import torch

from infant_pose_ros.data.mini_rgbd import (
    FRAME_FILES,
    INTRINSICS,
    MiniRgbdVideo,
    open_mini_rgbd,
    read_joints,
)
from infant_pose_ros.errors import DatasetError, InvalidInputError
from infant_pose_ros.skeleton import FROM_MINI_RGBD, Joint
from infant_pose_ros.synthetic import synthcot_writer
from infant_pose_ros.synthetic.synthcot import PLANS, sequence_bodies, sequence_scene
from infant_pose_ros.synthetic.synthcot_writer import render_sequence, write_synthcot12

FRAMES = 3


@pytest.fixture(scope='module')
def quick():
    """Pictures at once, in blocks of two frames."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthcot_writer, 'SUPERSAMPLE', 1)
        patch.setattr(synthcot_writer, 'BLOCK', 2)
        yield


@pytest.fixture(scope='module')
def folder(tmp_path_factory, quick):
    place = tmp_path_factory.mktemp('set')
    for number in (11, 12):
        render_sequence(place, number, FRAMES)
    return place


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob('*')) if path.is_file()}


def test_files_are_named_as_in_mini_rgbd(folder):
    names = sorted(contents(folder / '11'))
    assert names == sorted(
        ['sequence.json', 'visible.npy', *(name.format(frame) for name in FRAME_FILES.values()
                                           for frame in range(FRAMES))])
    assert 'depth/syn_00002_depth.png' in names and 'fg_mask/mask_00000.png' in names
    assert not (folder / '11.part').exists()


def test_rows_have_ids_pixels_and_metres(folder):
    flat = folder / '11' / 'joints_2Ddep' / 'syn_joints_2Ddep_00001.txt'
    space = folder / '11' / 'joints_3D' / 'syn_joints_3D_00001.txt'
    for path, decimals in ((flat, (4, 4, 6)), (space, (6, 6, 6))):
        form = ' '.join(rf'-?\d+\.\d{{{count}}}' for count in decimals)
        lines = path.read_text().splitlines()
        assert len(lines) == 26
        for joint, line in enumerate(lines):
            assert re.fullmatch(f'{form} {joint}', line)
    pixels, metres = read_joints(flat, 26), read_joints(space, 26)
    assert 0.5 < metres[:, 2].min() and metres[:, 2].max() < 1.6
    assert pixels[:, 2] == pytest.approx(metres[:, 2], abs=1e-6)
    fx, fy, cx, cy = INTRINSICS
    assert pixels[:, 0] == pytest.approx(fx * metres[:, 0] / metres[:, 2] + cx, abs=0.01)
    assert pixels[:, 1] == pytest.approx(fy * metres[:, 1] / metres[:, 2] + cy, abs=0.01)


def test_the_reader_gives_the_bodys_own_keypoints(folder):
    stills = open_mini_rgbd(folder, 'test')
    bodies = sequence_bodies(PLANS[12], FRAMES)
    matrix = sequence_scene(PLANS[12], bodies.keypoints_m, 64, 24).world_to_camera
    expected = bodies.keypoints_m @ matrix[:, :3].T + matrix[:, 3]
    assert len(stills) == 2 * FRAMES
    assert stills.keypoints_m[FRAMES:] == pytest.approx(expected, abs=2e-6)
    assert stills.body_length_m[FRAMES] == pytest.approx(bodies.body_length_m, abs=1e-6)
    assert stills.visible.mean() > 0.5
    nose, head_top = read_joints(
        folder / '12' / 'joints_3D' / 'syn_joints_3D_00000.txt', 26)[[24, 25], :3]
    assert 0.04 < np.linalg.norm(nose - head_top) < 0.25
    assert FROM_MINI_RGBD[Joint.HEAD_TOP] == 24


def test_depth_and_mask_fit_the_joints(folder):
    video = MiniRgbdVideo.open(folder / '11')
    visible = video.visible()
    for index in range(FRAMES):
        depth = cv2.imread(str(video.path('depth', index)), cv2.IMREAD_UNCHANGED)
        mask = cv2.imread(str(video.path('fg_mask', index)), cv2.IMREAD_UNCHANGED)
        assert depth.dtype == np.uint16 and depth.shape == mask.shape == (480, 640)
        assert 300 < depth.min() and depth.max() < 4000
        assert set(np.unique(mask)) == {0, 255}
        frame = video.read(index)
        seen = np.flatnonzero(visible[index])
        column, row = np.rint(frame.keypoints_px[seen]).astype(int).T
        under_skin = frame.keypoints_m[seen, 2] - depth[row, column] / 1000
        flesh = 0.24 * video.body_length_m
        assert (under_skin < flesh).all()
        inside = (mask[row, column] == 255) & (seen != Joint.HEAD_TOP)
        assert inside.sum() >= 8 and (under_skin[inside] > -0.03).all()
        box = video.mask_box(index)
        assert (frame.keypoints_px > box[:2] - 12).all()
        assert (frame.keypoints_px < box[2:] + 12).all()


def test_a_stopped_sequence_goes_on_to_the_same_bytes(folder, tmp_path, quick, monkeypatch):
    made = []

    def stop_at_the_last(count):
        made.append(count)
        if len(made) == FRAMES:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render_sequence(tmp_path, 11, FRAMES, stop_at_the_last)
    part = tmp_path / '11.part'
    assert not (tmp_path / '11').exists() and part.is_dir()
    # The kill may have come in the middle of a file, too.
    (part / 'rgb' / '.syn_00002.png.part').write_bytes(b'half')
    (part / 'rgb' / 'syn_00002.png').unlink()
    times = (part / 'rgb' / 'syn_00000.png').stat().st_mtime_ns
    seen = []
    place = render_sequence(tmp_path, 11, FRAMES, seen.append)
    assert seen == [2, 1]       # a whole block that was there, and one frame
    assert (place / 'rgb' / 'syn_00000.png').stat().st_mtime_ns == times
    assert contents(place) == contents(folder / '11')


def test_a_part_of_another_length_is_made_anew(folder, tmp_path, quick):
    (tmp_path / '11.part' / 'blocks').mkdir(parents=True)
    (tmp_path / '11.part' / 'settings.json').write_text('{"version": 1, "frames": 7}')
    np.save(tmp_path / '11.part' / 'blocks' / '00000.npy', np.zeros((2, 16), bool))
    assert contents(render_sequence(tmp_path, 11, FRAMES)) == contents(folder / '11')


def test_finished_sequences_are_kept_and_others_refused(folder):
    seen = []
    before = (folder / '11' / 'sequence.json').stat().st_mtime_ns
    write_synthcot12(folder, (11, 12), FRAMES, progress=seen.append)
    assert sum(seen) == 2 * FRAMES
    assert (folder / '11' / 'sequence.json').stat().st_mtime_ns == before
    with pytest.raises(DatasetError, match='11: expected 4 frames .* found 3 of version'):
        write_synthcot12(folder, (11,), 4)
    with pytest.raises(DatasetError, match='11: expected 3 .* 60 Hz, found 3 .* at 30 Hz'):
        write_synthcot12(folder, (11,), FRAMES, rate_hz=60.0)
    with pytest.raises(DatasetError, match='found 13'):
        write_synthcot12(folder, (11, 13), FRAMES)
    for frames in (0, 1001):
        with pytest.raises(InvalidInputError, match=f'1 to 1000, got {frames}'):
            write_synthcot12(folder, (11,), frames)


def test_a_killed_process_ends_with_the_folder_and_the_mend(tmp_path, killed_pool):
    with pytest.raises(DatasetError, match=r'a process was killed \(killed\); free some memory'):
        write_synthcot12(tmp_path, (11,), 2)


@pytest.mark.slow
def test_the_bytes_do_not_depend_on_the_number_of_processes(tmp_path, monkeypatch):
    monkeypatch.setattr(synthcot_writer, 'SUPERSAMPLE', 2)      # as in the processes
    write_synthcot12(tmp_path / 'pool', (3, 11), 2, workers=2)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for number in (3, 11):
            render_sequence(tmp_path / 'here', number, 2)
    finally:
        torch.set_num_threads(threads)
    assert contents(tmp_path / 'pool') == contents(tmp_path / 'here')
    assert len(contents(tmp_path / 'pool')) == 2 * (2 + 2 * len(FRAME_FILES))


@pytest.mark.slow
def test_an_error_in_a_process_ends_the_run(tmp_path):
    blocked = tmp_path / '11.part'
    blocked.write_text('in the way')
    with pytest.raises(DatasetError, match='can not be written'):
        write_synthcot12(tmp_path, (11,), 2)
