import json

import cv2
import numpy as np
import pytest
import scipy.io

from infant_pose_ros.cli.data import FORMATS as CLI_FORMATS
from infant_pose_ros.data import checksums, mini_rgbd
from infant_pose_ros.data.checks import check_dataset, detect_format, FORMATS
from infant_pose_ros.data.sequence_info import SequenceInfo
from infant_pose_ros.errors import DatasetError
from infant_pose_ros.skeleton import FROM_COCO, FROM_LSP, FROM_MINI_RGBD, FROM_MPI_INF_3DHP, Joint


def standing():
    """A person who faces us, in 100x110 px."""
    keypoints = np.zeros((16, 2))
    for name, x, y in (('ANKLE', 12, 100), ('KNEE', 11, 80), ('HIP', 10, 60), ('WRIST', 20, 60),
                       ('ELBOW', 18, 45), ('SHOULDER', 15, 30)):
        keypoints[Joint[f'R_{name}']], keypoints[Joint[f'L_{name}']] = (50 - x, y), (50 + x, y)
    for joint, y in (('PELVIS', 60), ('THORAX', 30), ('UPPER_NECK', 24), ('HEAD_TOP', 8)):
        keypoints[Joint[joint]] = 50, y
    return keypoints


def in_order(order, count):
    """The person in another set's order; points that the common set lacks lie at its pelvis."""
    points = np.tile(standing()[Joint.PELVIS], (count, 1))
    for joint, index in enumerate(order):
        if index >= 0:
            points[index] = standing()[joint]
    return points


def picture(path, size_wh=(100, 110)):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((size_wh[1], size_wh[0], 3), 99, np.uint8))


def write_mini_rgbd(folder):
    joints = in_order(FROM_MINI_RGBD, 25)
    for video in range(1, 13):
        for frame in range(2):
            paths = {part: folder / f'{video:02d}' / name.format(frame)
                     for part, name in mini_rgbd.FRAME_FILES.items()}
            picture(paths['rgb'], (640, 480))
            for part, scale, last in (('joints_2Ddep', 1, 0.9), ('joints_3D', 0.01, 0.9)):
                paths[part].parent.mkdir(parents=True, exist_ok=True)
                paths[part].write_text(''.join(f'{x * scale} {y * scale} {last} {index}\n'
                                               for index, (x, y) in enumerate(joints)))


def write_synthcot(folder):
    """`write_mini_rgbd` with what SynthCot-12 adds; returns its checksums."""
    write_mini_rgbd(folder)
    sums = {}
    for number in range(1, 13):
        video = folder / f'{number:02d}'
        for frame in range(2):
            picture(video / 'depth' / f'syn_{frame:05d}_depth.png', (640, 480))
            picture(video / 'fg_mask' / f'mask_{frame:05d}.png', (640, 480))
            for part in ('joints_2Ddep', 'joints_3D'):
                path = video / part / f'syn_{part}_{frame:05d}.txt'
                rows = path.read_text().splitlines()
                path.write_text('\n'.join([*rows, rows[24].removesuffix('24') + '25']))
        np.save(video / 'visible.npy', np.ones((2, 16), bool))
        (video / 'sequence.json').write_text(SequenceInfo(
            'SynthCot-12', 1, number, 30.0, 2, 0.6, 3.0, 11.0, 0.028).to_json())
        sums |= {(number, part): checksums.part_checksum(video, part) for part in checksums.PARTS}
    return sums


def write_mpii(folder):
    picture(folder / 'images' / 'a.jpg')
    (folder / 'annot').mkdir()
    person = {'image': 'a.jpg', 'center': [50, 55], 'scale': 0.5, 'joints_vis': [1] * 16,
              'joints': (standing() + 1).tolist()}
    (folder / 'annot' / 'train.json').write_text(json.dumps([person, person]))


def write_coco(folder):
    picture(folder / 'images' / 'a.jpg')
    (folder / 'annotations').mkdir()
    points = np.concatenate([in_order(FROM_COCO, 17), np.full((17, 1), 2)], 1)
    points[:5, :2] = 50, 15
    (folder / 'annotations' / 'person_keypoints_x.json').write_text(json.dumps({
        'images': [{'id': 1, 'file_name': 'a.jpg'}],
        'annotations': [{'image_id': 1, 'keypoints': points.ravel().tolist()}] * 2}))


def write_lspet(folder):
    joints = np.concatenate([in_order(FROM_LSP, 14), np.ones((14, 1))], 1)
    scipy.io.savemat(folder / 'joints.mat', {'joints': np.stack([joints, joints], 2)})
    for number in (1, 2):
        picture(folder / 'images' / f'im{number:05d}.jpg')


def write_stills(folder):
    (folder / 'meta.json').write_text('{}')
    for index in range(2):
        picture(folder / '0000' / f'{index:05d}.jpg')
    points = np.tile(standing(), (2, 1, 1))
    np.savez(folder / '0000' / 'labels.npz', keypoints_px=points, visible=np.ones((2, 16), bool),
             keypoints_m=np.concatenate([points / 100, np.ones((2, 16, 1))], 2),
             box_xyxy=np.zeros((2, 4)), body_length_m=np.ones(2), intrinsics=np.ones((2, 4)))


def write_mpi_inf_3dhp(folder):
    points = in_order(FROM_MPI_INF_3DHP, 28)
    space = np.concatenate([points * 10, np.full((28, 1), 3000.0)], 1)
    cells = {name: np.empty((1, 1), object) for name in ('annot2', 'annot3')}
    cells['annot2'][0, 0], cells['annot3'][0, 0] = points.reshape(1, 56), space.reshape(1, 84)
    for subject in range(1, 9):
        for sequence in (1, 2):
            path = folder / f'S{subject}' / f'Seq{sequence}' / 'annot.mat'
            path.parent.mkdir(parents=True)
            scipy.io.savemat(path, cells)


WRITERS = {'mini_rgbd': (write_mini_rgbd, 24, 24), 'mpii': (write_mpii, 1, 2),
           'coco': (write_coco, 1, 2), 'lspet': (write_lspet, 2, 2),
           'stills': (write_stills, 2, 2), 'mpi_inf_3dhp': (write_mpi_inf_3dhp, 0, 16)}


@pytest.fixture(autouse=True)
def short_videos(monkeypatch):
    monkeypatch.setattr(mini_rgbd, 'FRAMES_PER_VIDEO', 2)


def found(report):
    return [(problem.path.relative_to(report.folder).as_posix(), problem.kind)
            for problem in report.problems]


@pytest.mark.parametrize('name', FORMATS)
def test_a_good_copy_of_each_format_is_recognised_and_fine(tmp_path, name):
    write, num_pictures, num_poses = WRITERS[name]
    write(tmp_path)
    seen = []
    report = check_dataset(tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert report.problems == []
    assert (report.format, report.num_pictures, report.num_poses) == (
        name, num_pictures, num_poses)
    assert seen[-1][0] == seen[-1][1] == len(seen)


def test_the_command_offers_the_same_formats():
    assert set(CLI_FORMATS) == {'auto', *FORMATS}


@pytest.mark.parametrize('name', FORMATS)
def test_an_empty_folder_has_problems_in_every_format(tmp_path, name):
    assert check_dataset(tmp_path, name).problems


def test_mini_rgbd_file_by_file(tmp_path):
    write_mini_rgbd(tmp_path)
    (tmp_path / '03' / 'rgb' / 'syn_00001.png').unlink()
    (tmp_path / '04' / 'joints_3D' / 'syn_joints_3D_00000.txt').write_text('1 2 3 4\n')
    picture(tmp_path / '05' / 'rgb' / 'syn_00000.png', (320, 240))
    (tmp_path / '06' / 'rgb' / 'syn_00000.png').write_bytes(b'no picture')
    path = tmp_path / '07' / 'joints_2Ddep' / 'syn_joints_2Ddep_00000.txt'
    rows = path.read_text().splitlines()
    rows[24] = '5000 8 0.9 24'
    path.write_text('\n'.join(rows))
    (tmp_path / '12').rename(tmp_path / 'twelve')
    report = check_dataset(tmp_path)
    assert found(report) == [
        ('03/rgb/syn_00001.png', 'missing'), ('12', 'missing'),
        ('04/joints_3D/syn_joints_3D_00000.txt', 'malformed'),
        ('05/rgb/syn_00000.png', 'wrong size'), ('06/rgb/syn_00000.png', 'unreadable'),
        ('07/joints_2Ddep/syn_joints_2Ddep_00000.txt', 'far outside'),
        ('07/joints_2Ddep/syn_joints_2Ddep_00000.txt', 'impossible shape')]
    assert 'found 1 rows of 4 numbers' in report.problems[2].text
    assert report.counts()['missing'] == 2


@pytest.fixture
def synthcot(tmp_path, monkeypatch):
    folder = tmp_path / 'set'
    folder.mkdir()
    listed = tmp_path / 'list.sha256'
    listed.write_text(checksums.list_text(write_synthcot(folder), 'test'))
    monkeypatch.setattr(checksums, 'synthcot_list', lambda: listed)
    return folder


def test_a_good_synthcot_is_fine(synthcot):
    report = check_dataset(synthcot)
    assert report.problems == []
    assert (report.format, report.num_pictures, report.num_poses) == ('mini_rgbd', 72, 24)


def test_one_changed_byte_is_found_in_its_part(synthcot):
    path = synthcot / '07' / 'joints_3D' / 'syn_joints_3D_00001.txt'
    path.write_bytes(path.read_bytes() + b'\n')
    visible = np.load(synthcot / '11' / 'visible.npy')
    visible[1, 3] = False
    np.save(synthcot / '11' / 'visible.npy', visible)
    assert found(check_dataset(synthcot)) == [
        ('07/joints_3D', 'differs'), ('11/visible.npy', 'differs')]


def test_a_list_without_a_checksum_is_to_blame_and_not_the_set(synthcot):
    listed = checksums.synthcot_list()
    lines = [line for line in listed.read_text().splitlines() if not line.endswith('05/rgb')]
    listed.write_text('\n'.join(lines))
    problem, = check_dataset(synthcot).problems
    assert (problem.path, problem.kind) == (listed, 'malformed')
    assert 'checksum of 05/rgb' in problem.text


def test_what_synthcot_must_have_is_missed(synthcot):
    (synthcot / '02' / 'visible.npy').unlink()
    (synthcot / '04' / 'sequence.json').write_text('{}')
    (synthcot / '05' / 'depth' / 'syn_00001_depth.png').unlink()
    (synthcot / '06').rename(synthcot / '06.part')
    report = check_dataset(synthcot)
    assert {('02/visible.npy', 'missing'), ('04/sequence.json', 'malformed'),
            ('05/depth/syn_00001_depth.png', 'missing'), ('06.part', 'unfinished'),
            ('06', 'missing')} <= set(found(report))


def test_a_trial_is_told_from_the_set(synthcot, monkeypatch):
    monkeypatch.setattr(mini_rgbd, 'FRAMES_PER_VIDEO', 3)
    report = check_dataset(synthcot)
    assert report.counts() == {'trial': 12}
    assert 'found a trial of 2' in report.problems[0].text


def test_mpii_and_coco_entries(tmp_path):
    write_mpii(tmp_path)
    path = tmp_path / 'annot' / 'train.json'
    people = json.loads(path.read_text())
    people[1]['image'] = 'gone.jpg'
    people.append({'image': 'a.jpg'})
    path.write_text(json.dumps(people))
    assert found(check_dataset(tmp_path)) == [
        ('annot/train.json', 'malformed'), ('images/gone.jpg', 'missing')]
    path.write_text('[')
    assert found(check_dataset(tmp_path)) == [('annot/train.json', 'malformed')]


def test_coco_entries(tmp_path):
    write_coco(tmp_path)
    path = tmp_path / 'annotations' / 'person_keypoints_x.json'
    content = json.loads(path.read_text())
    content['annotations'] = [content['annotations'][0], {'image_id': 1, 'keypoints': [1, 2]},
                              {**content['annotations'][0], 'image_id': 5}]
    path.write_text(json.dumps(content))
    report = check_dataset(tmp_path)
    assert [problem.text[:15] for problem in report.problems] == [
        'annotations[1]:', 'annotations[2]:']
    assert report.num_poses == 1


def test_lspet_rows_and_pictures(tmp_path):
    write_lspet(tmp_path)
    (tmp_path / 'images' / 'im00002.jpg').unlink()
    assert found(check_dataset(tmp_path)) == [('images/im00002.jpg', 'missing')]
    for number in (2, 3):
        picture(tmp_path / 'images' / f'im{number:05d}.jpg')
    assert found(check_dataset(tmp_path)) == [('joints.mat', 'wrong count')]
    (tmp_path / 'joints.mat').write_bytes(b'cut')
    assert found(check_dataset(tmp_path)) == [('joints.mat', 'malformed')]


@pytest.mark.parametrize('share', [0.0, 0.3, 0.9])
def test_pictures_that_were_cut_short_are_found(tmp_path, share):
    write_lspet(tmp_path)
    path = tmp_path / 'images' / 'im00001.jpg'
    whole = path.read_bytes()
    path.write_bytes(whole[:int(share * len(whole))])
    assert found(check_dataset(tmp_path)) == [('images/im00001.jpg', 'unreadable')]


def test_stills_and_recordings(tmp_path):
    write_stills(tmp_path)
    (tmp_path / '0001.part').mkdir()
    (tmp_path / '0002').mkdir()
    assert found(check_dataset(tmp_path)) == [
        ('0001.part', 'unfinished'), ('0002/labels.npz', 'missing')]
    (tmp_path / 'meta.json').unlink()
    write_mpi_inf_3dhp(tmp_path)
    (tmp_path / 'S3' / 'Seq2' / 'annot.mat').unlink()
    assert found(check_dataset(tmp_path)) == [('S3/Seq2/annot.mat', 'missing')]


def test_what_can_not_be_checked_is_said(tmp_path):
    with pytest.raises(DatasetError, match='expected meta.json'):
        detect_format(tmp_path)
    with pytest.raises(DatasetError, match='expected a folder'):
        check_dataset(tmp_path / 'nowhere', 'coco')
    with pytest.raises(DatasetError, match="found 'voc'"):
        check_dataset(tmp_path, 'voc')
