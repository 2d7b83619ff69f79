import cv2
import numpy as np
import pytest

from infant_pose_ros.data.boxes import BoxDataset
from infant_pose_ros.data.company import Company, mask_path
from infant_pose_ros.data.stills import Stills
from infant_pose_ros.errors import DatasetError


@pytest.fixture
def masked(stills_folder):
    """The six pictures, with masks of their bodies: 60 px squares of an even grey of 200."""
    stills = Stills.open(stills_folder)
    for path in stills.paths:
        mask = np.zeros((120, 160), np.uint8)
        mask[30:90, 50:110] = 255
        cv2.imwrite(str(mask_path(path)), mask)
    return stills


def test_where_masks_lie(tmp_path):
    assert mask_path(tmp_path / '0001' / '00007.jpg') == tmp_path / '0001' / '00007_mask.png'
    assert mask_path(tmp_path / '03' / 'rgb' / 'syn_00012.png') == (
        tmp_path / '03' / 'fg_mask' / 'mask_00012.png')


def test_others_lie_beside_and_their_boxes_fit(masked):
    company, counts = Company(masked), set()
    for seed in range(30):
        # Nobody's box is drawn into the first picture: only the others are bright in it.
        image, boxes = company.join(np.full((120, 160, 3), 20, np.uint8),
                                    np.array([50.0, 30.0, 110.0, 90.0]),
                                    np.random.default_rng(seed))
        counts.add(len(boxes))
        height, width = image.shape[:2]
        assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= [width, height]).all()
        assert (boxes[0, 2:] - boxes[0, :2]).tolist() == [60.0, 60.0]
        if len(boxes) == 2:
            rows, columns = np.nonzero(image[..., 0] > 110)
            found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert found == pytest.approx(boxes[1].tolist(), abs=2)
            # At most a fifth of the first one is hidden.
            x1, y1, x2, y2 = boxes[0].astype(int)
            assert (image[y1:y2, x1:x2, 0] > 110).mean() < 0.22
    assert counts >= {2, 3}


def test_the_detectors_samples_have_all_boxes(masked):
    dataset = BoxDataset(masked, (160, 120), True, company=Company(masked), company_share=1.0)
    counts = [len(dataset[index][1]['boxes']) for index in range(6)]
    assert max(counts) >= 2
    for index in range(6):
        image, target = dataset[index]
        assert image.shape == (3, 120, 160)
        assert (target['boxes'][:, 2:] > target['boxes'][:, :2]).all()
        assert len(target['labels']) == len(target['boxes'])
    alone = BoxDataset(masked, (160, 120), True, company=Company(masked), company_share=0.0)
    assert max(len(alone[index][1]['boxes']) for index in range(6)) == 1


def test_a_missing_mask_is_named(masked):
    for path in masked.paths:
        mask_path(path).unlink()
    with pytest.raises(DatasetError, match='_mask.png: expected the mask'):
        Company(masked).join(np.zeros((120, 160, 3), np.uint8), np.array([50.0, 30, 110, 90]),
                             np.random.default_rng(0))
