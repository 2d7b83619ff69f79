from types import SimpleNamespace

import pytest

from infant_pose_ros.cli import doctor_installation as installation
from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.findings import Level


def only(findings):
    (finding,) = findings
    return finding


@pytest.mark.parametrize(('version', 'environment', 'level', 'words'), [
    ((3, 11), {}, Level.OK, ''),
    ((3, 9), {}, Level.ERROR, '3.10 to 3.13'),
    ((3, 14), {}, Level.ERROR, '3.10 to 3.13'),
    ((3, 12), {'ROS_DISTRO': 'jazzy', 'AMENT_PREFIX_PATH': '/opt/ros/jazzy'}, Level.OK, ''),
    ((3, 11), {'ROS_DISTRO': 'jazzy', 'AMENT_PREFIX_PATH': '/opt/ros/jazzy'}, Level.ERROR,
     'python3.12'),
    ((3, 11), {'ROS_DISTRO': 'jazzy'}, Level.OK, '')])
def test_python(version, environment, level, words):
    finding = only(installation.python_findings(version, environment))
    assert finding.level is level and words in finding.text


@pytest.mark.parametrize(('torch', 'torchvision', 'fits'), [
    ('2.14.1+cu130', '0.29.1+cu130', True), ('2.1.0', '0.16.0', True),
    ('2.14.1', '0.28.0', False), ('2.1.0+cpu', '0.29.1', False), ('3.0.0', '1.0.0', True),
    ('nightly', '0.29.1', True)])
def test_torchvision_belongs_to_its_torch(torch, torchvision, fits):
    assert installation.torchvision_fits(torch, torchvision) is fits


def test_torch_that_can_not_be_imported_is_named_with_the_mend(monkeypatch):
    def refuse(name):
        if name == 'torchvision':
            raise RuntimeError('operator torchvision::nms does not exist')
        raise ModuleNotFoundError(f'No module named {name!r}', name=name)

    monkeypatch.setattr(installation.importlib, 'import_module', refuse)
    without, broken = installation.torch_findings()
    assert (without.about, without.level) == ('torch', Level.ERROR)
    assert 'activate the environment' in without.text
    assert 'belongs to another torch' in broken.text


def test_a_pair_that_does_not_fit_is_a_warning(monkeypatch):
    versions = {'torch': '2.14.1', 'torchvision': '0.20.0'}
    monkeypatch.setattr(installation.importlib, 'import_module',
                        lambda name: SimpleNamespace(__version__=versions[name]))
    finding = only(installation.torch_findings())
    assert finding.level is Level.WARN and 'in one command' in finding.text


@pytest.mark.parametrize(('version', 'sourced', 'problem', 'level'), [
    ('1.26.4', True, 'never asked', Level.OK), ('2.4.6', False, 'never asked', Level.OK),
    ('2.4.6', True, '', Level.OK), ('2.4.6', True, 'numpy.core.multiarray', Level.ERROR)])
def test_numpy_against_the_sourced_ros(monkeypatch, version, sourced, problem, level):
    environment = {'ROS_DISTRO': 'jazzy', 'AMENT_PREFIX_PATH': '/x'} if sourced else {}
    monkeypatch.setattr(installation, '_version', lambda name: version)
    monkeypatch.setattr(installation, 'import_problem', lambda name, environment: problem)
    finding = only(installation.numpy_findings(environment))
    assert finding.level is level
    assert level is Level.OK or 'ros-sourced.txt' in finding.text


def test_imports_are_tried_in_a_process_of_their_own(tmp_path):
    (tmp_path / 'broken_module.py').write_text('raise ImportError("made for another NumPy")')
    environment = {'PYTHONPATH': str(tmp_path)}
    assert 'made for another NumPy' in installation.import_problem('broken_module', environment)
    assert installation.import_problem('is_not_there', environment) == ''


def torch_stand_in(is_available=False, cuda='13.0'):
    return SimpleNamespace(
        version=SimpleNamespace(cuda=cuda),
        cuda=SimpleNamespace(is_available=lambda: is_available, device_count=lambda: 1))


def test_why_there_is_no_gpu(monkeypatch, tmp_path):
    driver = tmp_path / 'version'
    monkeypatch.setattr(installation, 'NVIDIA_DRIVER', driver)
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    assert 'without CUDA' in installation.gpu_absence(torch_stand_in(cuda=None))
    assert 'no NVIDIA driver' in installation.gpu_absence(torch_stand_in())
    driver.write_text('NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.57.02  Tue Jul 13\n')
    told = installation.gpu_absence(torch_stand_in())
    assert 'driver 470.57.02' in told and 'update the driver' in told
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')
    assert 'CUDA_VISIBLE_DEVICES' in installation.gpu_absence(torch_stand_in())
    assert installation.has_idle_gpu(torch_stand_in())
    assert not installation.has_idle_gpu(torch_stand_in(is_available=True))


def test_a_gpu_that_is_asked_for_and_is_not_there_is_an_error():
    finding = only(installation.gpu_findings(PipelineSettings(device='cuda:99')))
    assert finding.level is Level.ERROR and 'cuda:99' in finding.text


@pytest.mark.parametrize(('free_mb', 'level'), [(20000, Level.OK), (500, Level.WARN)])
def test_a_gpu_that_is_there(monkeypatch, free_mb, level):
    torch = torch_stand_in(is_available=True)
    torch.cuda.mem_get_info = lambda index: (free_mb * 1e6, 24000e6)
    torch.cuda.get_device_name = lambda index: f'GPU number {index}'
    modules = {'torch': torch, 'infant_pose_ros.inference': SimpleNamespace(
        resolve_device=lambda device: device)}
    monkeypatch.setattr(installation.importlib, 'import_module', modules.__getitem__)
    finding = only(installation.gpu_findings(PipelineSettings(device='cuda:1')))
    assert finding.level is level
    assert f'cuda:1: GPU number 1, {free_mb} of 24000 MB free, CUDA 13.0' in finding.text


def test_missing_weights_are_an_error(tmp_path):
    finding = installation.weights_finding(str(tmp_path / 'gone.safetensors'), 'pose')
    assert finding.level is Level.ERROR
    assert 'gone.safetensors' in finding.text and 'pose_weights' in finding.text


@pytest.mark.parametrize(('free_mb', 'level'), [
    (5000, Level.OK), (500, Level.WARN), (50, Level.ERROR)])
def test_room_on_disk(monkeypatch, tmp_path, free_mb, level):
    monkeypatch.setattr(installation.shutil, 'disk_usage', lambda folder: SimpleNamespace(
        total=1e10, free=free_mb * 1e6))
    levels = {finding.about: finding.level for finding in installation.space_findings(
        {'ROS_LOG_DIR': str(tmp_path / 'not' / 'there')})}
    assert levels['disk'] is levels['log folder'] is level


def test_a_log_folder_that_can_not_be_written_to(monkeypatch, tmp_path):
    monkeypatch.setattr(installation.os, 'access', lambda folder, mode: folder != tmp_path)
    found = {finding.about: finding
             for finding in installation.space_findings({'ROS_LOG_DIR': str(tmp_path)})}
    assert found['log folder'].level is Level.ERROR and 'ROS_LOG_DIR' in found['log folder'].text


@pytest.mark.parametrize(('environment', 'folder'), [
    ({'ROS_LOG_DIR': '/a', 'ROS_HOME': '/b'}, '/a'), ({'ROS_HOME': '/b'}, '/b/log')])
def test_where_ros_logs(environment, folder):
    assert str(installation.ros_log_folder(environment)) == folder
