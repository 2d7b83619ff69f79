import numpy as np
import pytest
import scipy.io

from infant_pose_ros.data.mpi_inf_3dhp import open_mpi_inf_3dhp, PCKH_UNIT_M
from infant_pose_ros.errors import DatasetError
from infant_pose_ros.skeleton import Joint


def cells(*rows):
    """A cell array as the set stores it: (cameras, 1)."""
    column = np.empty((len(rows), 1), object)
    for index, row in enumerate(rows):
        column[index, 0] = row
    return column


def points_mm(frames, offset=0.0):
    """Joint i of frame f at (100 i, -50 i, 3000 + 10 f + i * i) mm, moved by `offset`."""
    rows = np.zeros((frames, 28, 3))
    joint = np.arange(28)
    rows[:] = np.stack([100.0 * joint, -50.0 * joint, 3000.0 + joint ** 2], 1)
    rows[:, :, 2] += 10 * np.arange(frames)[:, None] + offset
    return rows


def pixels(points):
    return points[..., :2] / points[..., 2:] * [1500, 1490] + [1024, 1000]


def write(folder, subject='S7', sequence='Seq1', frames=3):
    path = folder / subject / sequence / 'annot.mat'
    path.parent.mkdir(parents=True)
    cameras = [points_mm(frames), points_mm(frames, 500.0)]
    scipy.io.savemat(path, {
        'annot2': cells(*(pixels(points).reshape(frames, 56) for points in cameras)),
        'annot3': cells(*(points.reshape(frames, 84) for points in cameras))})
    return path


def test_recordings_come_one_after_the_other_in_metres(tmp_path):
    for subject in ('S7', 'S8'):
        for sequence in ('Seq1', 'Seq2'):
            write(tmp_path, subject, sequence)
    recordings = list(open_mpi_inf_3dhp(tmp_path, 'validation'))
    assert [(item.path.parent.relative_to(tmp_path).as_posix(), item.camera)
            for item in recordings[:3]] == [('S7/Seq1', 0), ('S7/Seq1', 1), ('S7/Seq2', 0)]
    assert len(recordings) == 8 and len(recordings[0]) == 3
    pelvis, ankle = (recordings[1].keypoints_m[2, joint]
                     for joint in (Joint.PELVIS, Joint.R_ANKLE))
    assert pelvis == pytest.approx([.4, -.2, 3.536])             # joint 4, third frame
    assert ankle == pytest.approx([2.5, -1.25, 4.145])           # joint 25
    # Joint 4 of the first frame of the first camera: 1500 * 400 / 3016 + 1024.
    assert recordings[0].keypoints_px[0, Joint.PELVIS, 0] == pytest.approx(1222.9390)
    assert PCKH_UNIT_M == 0.15


def test_intrinsics_come_from_the_points_themselves(tmp_path):
    write(tmp_path)
    recording = next(open_mpi_inf_3dhp(tmp_path, 'validation', cameras=[1]))
    assert recording.camera == 1
    assert recording.intrinsics() == pytest.approx([1500, 1490, 1024, 1000], rel=1e-6)
    behind = type(recording)(recording.path, 1, recording.keypoints_px, -recording.keypoints_m)
    with pytest.raises(DatasetError, match='at least 4 points in front'):
        behind.intrinsics()


def test_unknown_splits_cameras_and_missing_files_are_named(tmp_path):
    with pytest.raises(DatasetError, match="'test'"):
        open_mpi_inf_3dhp(tmp_path, 'test')
    with pytest.raises(DatasetError, match=r'S1/Seq1/annot\.mat'):
        next(open_mpi_inf_3dhp(tmp_path))
    write(tmp_path)
    with pytest.raises(DatasetError, match='a camera from 0 to 1, found 2'):
        next(open_mpi_inf_3dhp(tmp_path, 'validation', [2]))


@pytest.mark.parametrize(('annot2', 'annot3', 'found'), [
    (cells(np.zeros((3, 34))), cells(np.zeros((3, 84))), r'annot2 of camera 0: .*\(3, 34\)'),
    (cells(np.zeros((3, 56))), cells(np.zeros((3, 28, 3))), r'annot3 of camera 0: .*\(3, 28, 3\)'),
    (cells(np.zeros((3, 56))), cells(np.zeros((2, 84))), 'found 3 and 2'),
    (cells('text'), cells(np.zeros((2, 84))), 'annot2'),
    (cells(np.zeros((3, 56)), np.zeros((3, 56))), cells(np.zeros((3, 84))), 'found 2 and 1')])
def test_malformed_annotations_are_named(tmp_path, annot2, annot3, found):
    path = write(tmp_path)
    scipy.io.savemat(path, {'annot2': annot2, 'annot3': annot3})
    with pytest.raises(DatasetError, match=rf'annot\.mat: .*{found}'):
        list(open_mpi_inf_3dhp(tmp_path, 'validation'))
