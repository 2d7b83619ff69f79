import json
import sys

import pytest

from infant_pose_ros.cli import doctor
from infant_pose_ros.cli import main as cli
from infant_pose_ros.findings import error, Level, ok, warn


@pytest.fixture
def weights(tiny_checkpoints):
    return [word for task, path in tiny_checkpoints.items()
            for word in (f'--{task}-weights', str(path))]


@pytest.fixture
def printing(tmp_path):
    """A command that prints and ends as told, in place of the node that looks at the graph."""
    def make(code):
        script = tmp_path / 'stand_in.py'
        script.write_text(code, encoding='utf-8')
        return (sys.executable, str(script))
    return make


def look(command):
    return doctor.look_at_ros(0.5, command, lambda name: True)


def test_a_sound_installation_gives_no_error(weights, capsys):
    assert cli.main(['doctor', '--no-ros', '--json', '--device', 'cpu', *weights]) == 0
    report = json.loads(capsys.readouterr().out)
    assert list(report) == ['installation']
    about = {finding['about']: finding for finding in report['installation']}
    assert {'Python', 'torch', 'libraries', 'NumPy', 'OpenCV', 'GPU', 'detector weights',
            'pose weights', 'lifter weights', 'disk', 'log folder'} <= set(about)
    assert 'hash verified' in about['pose weights']['text']
    assert "device is 'cpu'" in about['GPU']['text']


def test_damaged_weights_and_bad_parameters_end_with_1(weights, tmp_path, tiny_checkpoints,
                                                       capsys):
    damaged = tmp_path / 'damaged.safetensors'
    content = bytearray(tiny_checkpoints['lifter'].read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    manifest = tiny_checkpoints['lifter'].with_suffix('.json')
    damaged.with_suffix('.json').write_bytes(manifest.read_bytes())
    parameters = tmp_path / 'own.yaml'
    parameters.write_text('/**/pose_node:\n  ros__parameters:\n    detect_evry: 3\n')
    assert cli.main(['doctor', '--no-ros', '--device', 'cpu', *weights, '--lifter-weights',
                     str(damaged), '--params-file', str(parameters)]) == 1
    text = capsys.readouterr().out
    assert 'ERROR lifter weights' in text and 'damaged.safetensors' in text
    words = ' '.join(text.split())
    assert 'own.yaml:3: detect_evry is not known and has no effect: did you mean detect_every?' \
        in words
    assert text.splitlines()[-1].startswith('2 errors')


@pytest.mark.parametrize('seconds', ['0', '-1', 'nan', '1e9'])
def test_a_time_that_makes_no_sense_is_refused(seconds, capsys):
    assert cli.main(['doctor', '--seconds', seconds]) == 2
    assert '--seconds' in capsys.readouterr().err


def test_where_no_ros_is_there_it_says_so():
    (finding,) = doctor.look_at_ros(0.5, find=lambda name: None)
    assert finding.level is Level.WARN and 'source /opt/ros' in finding.text


def test_findings_come_back_from_the_node(printing):
    wanted = [ok('a', 'b'), error('/pose_node', 'c: d')]
    text = json.dumps([finding.to_dict() for finding in wanted])
    assert look(printing(f'print("[SHM Error] of a library"); print({text!r})')) == wanted


@pytest.mark.parametrize(('reason', 'mend'), [
    ('failed to load shared library librmw_zenoh_cpp.so', 'RMW_IMPLEMENTATION'),
    ('something else', 'read its output')])
def test_a_node_that_can_not_start_is_told_with_a_mend(printing, reason, mend):
    (finding,) = look(printing(f'import sys; sys.exit({reason!r})'))
    assert finding.level is Level.ERROR
    assert reason in finding.text and mend in finding.text


@pytest.mark.parametrize('output', ['', 'no json', '[{"level": "OK"}]', '3'])
def test_a_node_that_reports_nonsense_is_an_error(printing, output):
    (finding,) = look(printing(f'print({output!r})'))
    assert finding.level is Level.ERROR and 'without a report' in finding.text


def test_text_is_for_people():
    report = {'one': [ok('a', 'well'), warn('b', 'so so: ' + 20 * 'words ')], 'two': []}
    lines = doctor.report_text(report, width=60).splitlines()
    assert lines[:2] == ['one', '  OK    a: well']
    assert all(len(line) <= 60 for line in lines)
    assert lines[-1] == '0 errors, 1 warning'
    assert '\033[33mWARN' in doctor.report_text(report, colours=True)
    assert doctor.report_text({'one': [ok('a', 'b')]}).endswith('nothing is wrong')
