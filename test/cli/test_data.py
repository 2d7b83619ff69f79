import cv2
import numpy as np
import pytest
import scipy.io

from infant_pose_ros.cli import main


@pytest.fixture
def lspet(tmp_path):
    """Three pictures; each person has only an ankle, a knee and a hip."""
    joints = np.zeros((14, 3, 3))
    joints[:3] = np.array([[10, 50, 1], [12, 30, 1], [14, 10, 1]])[:, :, None]
    scipy.io.savemat(tmp_path / 'joints.mat', {'joints': joints})
    (tmp_path / 'images').mkdir()
    for number in (1, 2, 3):
        cv2.imwrite(str(tmp_path / 'images' / f'im{number:05d}.jpg'), np.zeros((60, 80, 3)))
    return tmp_path


def test_a_good_copy_ends_with_0(lspet, capsys):
    assert main.main(['data', 'check', str(lspet)]) == 0
    assert capsys.readouterr().out == f'{lspet}: lspet, 3 pictures, 3 poses, no problems\n'


def test_problems_end_with_1_and_counts(lspet, capsys):
    for number in (1, 3):
        (lspet / 'images' / f'im{number:05d}.jpg').unlink()
    arguments = ['data', 'check', str(lspet), '--format', 'lspet']
    assert main.main([*arguments, '--show', '1']) == 1
    first = (f'{lspet}/images/im00001.jpg: missing: expected a picture, found nothing; '
             'copy it again')
    last = f'{lspet}: lspet, 3 pictures, 3 poses, 2 problems'
    assert capsys.readouterr().out.splitlines() == [
        first, '      2 missing (1 not shown: --show 0)', last]
    assert main.main([*arguments, '--show', '0']) == 1
    assert capsys.readouterr().out.splitlines() == [
        first, first.replace('00001', '00003'), '      2 missing', last]


def test_no_dataset_is_an_error_of_one_line(tmp_path, capsys):
    assert main.main(['data', 'check', str(tmp_path)]) == 2
    assert 'infant-pose: ' in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        main.main(['data'])
    assert end.value.code == 2
