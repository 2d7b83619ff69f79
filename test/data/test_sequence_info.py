import dataclasses
import json
import math

import pytest

from infant_pose_ros.data.sequence_info import SequenceInfo
from infant_pose_ros.errors import DatasetError

INFO = SequenceInfo('SynthCot-12', 1, 77, 30.0, 1000, 0.61, 3.5, 11.5, 0.028, 'on the back')


def test_what_is_written_is_read_back(tmp_path):
    assert SequenceInfo.read(tmp_path) is None
    (tmp_path / 'sequence.json').write_text(INFO.to_json())
    assert SequenceInfo.read(tmp_path) == INFO
    unknown = dataclasses.replace(INFO, age_months=math.nan)
    (tmp_path / 'sequence.json').write_text(unknown.to_json())
    assert 'NaN' not in unknown.to_json()
    assert math.isnan(SequenceInfo.read(tmp_path).age_months)


@pytest.mark.parametrize(('changes', 'found'), [
    ({'pckh_unit_px': None}, 'pckh_unit_px None'), ({'frames': 0}, 'frames 0'),
    ({'frames': 2.5}, 'frames 2.5'), ({'seed': 0.5}, 'seed 0.5'),
    ({'body_length_m': 'long'}, "body_length_m 'long'"), ({'rate_hz': True}, 'rate_hz True')])
def test_wrong_values_are_named(tmp_path, changes, found):
    (tmp_path / 'sequence.json').write_text(json.dumps(dataclasses.asdict(INFO) | changes))
    with pytest.raises(DatasetError, match=rf'sequence.json: .*found {found}; make'):
        SequenceInfo.read(tmp_path)


def test_missing_keys_and_other_files_are_named(tmp_path):
    (tmp_path / 'sequence.json').write_text('{"set": "SynthCot-12"}')
    with pytest.raises(DatasetError, match='found no age_months, body_length_m, frames'):
        SequenceInfo.read(tmp_path)
    (tmp_path / 'sequence.json').write_text('[1]')
    with pytest.raises(DatasetError, match='found a list'):
        SequenceInfo.read(tmp_path)
