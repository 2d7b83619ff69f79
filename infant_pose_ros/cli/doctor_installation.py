"""What `infant-pose doctor` looks at where no ROS is needed: libraries, GPU, weights, disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import importlib
from importlib import metadata
import importlib.util
import os
from pathlib import Path
import platform
import re
import shutil
import subprocess
import sys
from types import ModuleType

from infant_pose_ros import __version__
from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.errors import CheckpointError, SettingsError
from infant_pose_ros.findings import error, Finding, ok, warn

#: Python versions that the package runs on, inclusive.
PYTHON_RANGE = ((3, 10), (3, 13))
#: Python that each ROS distribution is built for.
PYTHON_OF_ROS = {'humble': (3, 10), 'jazzy': (3, 12), 'kilted': (3, 12)}
#: Import name -> what to install; needed by everything.
LIBRARIES = {'filterpy': 'filterpy', 'safetensors': 'safetensors', 'scipy': 'scipy',
             'tqdm': 'tqdm', 'yaml': 'PyYAML'}
#: torchvision 0.(N + 15) belongs to torch 2.N.
TORCHVISION_OFFSET = 15
OPENCV_DISTRIBUTIONS = ('opencv-python', 'opencv-python-headless', 'opencv-contrib-python',
                        'opencv-contrib-python-headless')
MB = 1e6
#: Free space, MB: below the first it is an error, below the second a warning.
DISK_MB = (100.0, 1000.0)
#: A process with the package's Fast DDS profile takes 32 MB of shared memory; there are four.
SHARED_MEMORY_MB = (34.0, 160.0)
SHARED_MEMORY = Path('/dev/shm')
NVIDIA_DRIVER = Path('/proc/driver/nvidia/version')
_CHILD_TIMEOUT_S = 60.0


def look_at_installation(settings: PipelineSettings,
                         environment: Mapping[str, str]) -> Iterator[Finding]:
    """Everything that tells whether the package can run here, with these settings."""
    yield from python_findings(sys.version_info[:2], environment)
    yield from library_findings()
    yield from numpy_findings(environment)
    yield from opencv_findings()
    yield from gpu_findings(settings)
    yield from weights_findings(settings)
    yield from space_findings(environment)


def python_findings(version: tuple[int, int],
                    environment: Mapping[str, str]) -> Iterator[Finding]:
    """Whether this Python is one of those supported, and the sourced ROS's own."""
    text = f'{platform.python_version()} ({sys.executable}), infant_pose_ros {__version__}'
    low, high = PYTHON_RANGE
    distro = environment.get('ROS_DISTRO', '')
    wanted = PYTHON_OF_ROS.get(distro)
    if not low <= version <= high:
        yield error('Python', f'{text}: this version is not supported: use {_dotted(low)} to '
                              f'{_dotted(high)}')
    elif is_ros_sourced(environment) and wanted is not None and wanted != version:
        yield error('Python', f'{text}: ROS {distro} is sourced, which is built for Python '
                              f'{_dotted(wanted)}, so rclpy can not be imported: make the '
                              f'environment with python{_dotted(wanted)}')
    else:
        yield ok('Python', text)


def is_ros_sourced(environment: Mapping[str, str]) -> bool:
    """Whether a ROS installation (not the wheels) is sourced."""
    return bool(environment.get('ROS_DISTRO')) and bool(environment.get('AMENT_PREFIX_PATH'))


def library_findings() -> Iterator[Finding]:
    """PyTorch with the torchvision that belongs to it, and the small libraries."""
    yield from torch_findings()
    missing = [name for module, name in LIBRARIES.items()
               if importlib.util.find_spec(module) is None]
    if missing:
        yield error('libraries', f'not installed for this Python: {", ".join(missing)}: '
                                 f'pip install {" ".join(missing)}')
    else:
        yield ok('libraries', ', '.join(f'{name} {_version(name)}'
                                        for name in LIBRARIES.values()))


def torch_findings() -> Iterator[Finding]:
    """Whether torch and torchvision can be imported and belong together."""
    modules: dict[str, ModuleType] = {}
    for name in ('torch', 'torchvision'):
        try:
            modules[name] = importlib.import_module(name)
        # A torchvision of another torch fails with a RuntimeError (an operator is missing) or
        # with an OSError (a library can't be loaded).
        except (ImportError, OSError, RuntimeError, AttributeError) as problem:
            yield error(name, _why_not_imported(name, problem))
    if len(modules) < 2:
        return
    versions = {name: module.__version__ for name, module in modules.items()}
    text = ', '.join(f'{name} {version}' for name, version in versions.items())
    if torchvision_fits(versions['torch'], versions['torchvision']):
        yield ok('torch', text)
    else:
        yield warn('torch', f'{text}: torchvision belongs to another torch: install the pair in '
                            'one command, pip install -U torch torchvision')


def torchvision_fits(torch_version: str, torchvision_version: str) -> bool:
    """Whether both were released together; True where the numbers tell nothing."""
    pair = [re.match(r'(\d+)\.(\d+)', text) for text in (torch_version, torchvision_version)]
    if not all(pair) or pair[0][1] != '2' or pair[1][1] != '0':
        return True
    return int(pair[0][2]) + TORCHVISION_OFFSET == int(pair[1][2])


def _why_not_imported(name: str, problem: Exception) -> str:
    reason = _first_line(problem)
    if isinstance(problem, ModuleNotFoundError) and problem.name == name:
        return (f'not installed for {sys.executable}: activate the environment with PyTorch in '
                'this terminal, or pip install torch torchvision')
    if 'torchvision::' in reason:
        return (f'{reason}: it belongs to another torch (a CPU build, or another release): '
                'install the pair in one command, pip install -U torch torchvision')
    return f'can not be imported: {reason}: install it anew, pip install -U torch torchvision'


def numpy_findings(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Whether NumPy is the one that the sourced ROS was built with."""
    version = _version('numpy')
    if not version:
        yield error('NumPy', 'not installed: pip install numpy')
        return
    if not is_ros_sourced(environment) or int(version.split('.')[0]) < 2:
        yield ok('NumPy', version)
        return
    failed = {name: problem for name in ('sensor_msgs.msg', 'cv_bridge')
              if (problem := import_problem(name, environment))}
    if failed:
        name, problem = next(iter(failed.items()))
        yield error('NumPy', f'{version}, but {name} of ROS {environment["ROS_DISTRO"]} was '
                             f'compiled against NumPy 1 ({problem}): pip install -c '
                             'requirements/ros-sourced.txt numpy opencv-python-headless scipy')
    else:
        yield ok('NumPy', f'{version}; the messages of ROS {environment["ROS_DISTRO"]} can be '
                          'imported with it')


def import_problem(module: str, environment: Mapping[str, str]) -> str:
    """Why a module can't be imported, tried in a process of its own; '' where it can.

    A module that isn't there is no problem: it is optional.
    """
    code = (f'import importlib.util as u, sys; '
            f'u.find_spec({module.split(".")[0]!r}) or sys.exit(0); import {module}')
    try:
        done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                              timeout=_CHILD_TIMEOUT_S, env=dict(environment), check=False)
    except subprocess.TimeoutExpired:
        return f'importing it took more than {_CHILD_TIMEOUT_S:.0f} s'
    lines = done.stderr.strip().splitlines()
    if done.returncode:
        return lines[-1] if lines else f'exit code {done.returncode}'
    return ''


def opencv_findings() -> Iterator[Finding]:
    """OpenCV, and whether it can read videos."""
    try:
        cv2 = importlib.import_module('cv2')
    except (ImportError, AttributeError) as problem:
        yield error('OpenCV', f'can not be imported: {_first_line(problem)}: '
                              'pip install opencv-python-headless')
        return
    installed = [f'{name} {_version(name)}' for name in OPENCV_DISTRIBUTIONS if _version(name)]
    if len(installed) > 1:
        yield warn('OpenCV', f'{" and ".join(installed)} write over each other\'s files: '
                             'uninstall all but one, then install that one anew')
    backends = {cv2.videoio_registry.getBackendName(number)
                for number in cv2.videoio_registry.getStreamBackends()}
    if 'FFMPEG' in backends or 'GSTREAMER' in backends:
        yield ok('OpenCV', f'{cv2.__version__}, reads videos')
    else:
        yield warn('OpenCV', f'{cv2.__version__}, built without FFmpeg: videos can not be read, '
                             'pictures and topics can: pip install opencv-python-headless')


def gpu_findings(settings: PipelineSettings) -> Iterator[Finding]:
    """The GPU that the networks would take, or why there is none."""
    try:
        torch = importlib.import_module('torch')
        inference = importlib.import_module('infant_pose_ros.inference')
    except (ImportError, OSError, RuntimeError, AttributeError):
        return      # told of by `torch_findings`
    try:
        device = inference.resolve_device(settings.device)
    except SettingsError as problem:
        yield error('GPU', f'{problem}; {gpu_absence(torch)}')
        return
    if not device.startswith('cuda'):
        why = "device is 'cpu'" if settings.device == 'cpu' else gpu_absence(torch)
        make = warn if settings.device != 'cpu' and has_idle_gpu(torch) else ok
        yield make('GPU', f'the networks run on the CPU ({os.cpu_count()} cores): {why}')
        return
    index = int(device.partition(':')[2] or 0)
    free, total = torch.cuda.mem_get_info(index)
    text = (f'{device}: {torch.cuda.get_device_name(index)}, {free / MB:.0f} of '
            f'{total / MB:.0f} MB free, CUDA {torch.version.cuda}{driver_version()}')
    if free < 1000.0 * MB:
        yield warn('GPU', f'{text}: little memory is free: end what else uses the GPU '
                          '(nvidia-smi names it), or set device to cpu')
    else:
        yield ok('GPU', text)


def has_idle_gpu(torch: ModuleType) -> bool:
    """Whether a GPU's driver is there that PyTorch can't use."""
    return NVIDIA_DRIVER.exists() and not torch.cuda.is_available()


def gpu_absence(torch: ModuleType) -> str:
    """Why PyTorch sees no GPU, as far as it can be told."""
    if torch.cuda.is_available():
        return f'{torch.cuda.device_count()} GPUs are there, counted from cuda:0'
    if torch.version.cuda is None:
        return ('this PyTorch was built without CUDA: install the CUDA build, pip install -U '
                'torch torchvision, where there is an NVIDIA GPU')
    if not NVIDIA_DRIVER.exists():
        return ('no NVIDIA driver is loaded: nothing to mend where there is no NVIDIA GPU; in a '
                'container, start it with --gpus all')
    if os.environ.get('CUDA_VISIBLE_DEVICES', None) in ('', '-1'):
        return 'CUDA_VISIBLE_DEVICES hides every GPU: unset it'
    return (f'a driver is there{driver_version()}, but PyTorch can not use it: it may be too old '
            f'for CUDA {torch.version.cuda}: update the driver, or install a PyTorch for its CUDA')


def driver_version() -> str:
    """', driver 560.35' of NVIDIA's driver; '' where it can't be read."""
    try:
        found = re.search(r'\s(\d+\.\d[\d.]*)\s', NVIDIA_DRIVER.read_text(encoding='utf-8'))
    except OSError:
        return ''
    return f', driver {found[1]}' if found else ''


def weights_findings(settings: PipelineSettings) -> Iterator[Finding]:
    """Whether the checkpoints are what their manifests say: hash, architecture, shapes."""
    try:
        checkpoints = importlib.import_module('infant_pose_ros.models.checkpoints')
    except (ImportError, OSError, RuntimeError, AttributeError) as problem:
        yield error('weights', f'can not be looked at: {_first_line(problem)}')
        return
    for task in checkpoints.TASKS:
        given = getattr(settings, f'{task}_weights')
        yield weights_finding(given or str(checkpoints.bundled_checkpoint(task)), task,
                              is_bundled=not given)


def weights_finding(path: str, task: str, is_bundled: bool = False) -> Finding:
    """Whether one checkpoint can be used for its task."""
    checkpoints = importlib.import_module('infant_pose_ros.models.checkpoints')
    try:
        _, manifest = checkpoints.load_checkpoint(path, task)
    except CheckpointError as problem:
        mend = ('install the package anew' if is_bundled
                else f'give another {task}_weights, or none for the bundled ones')
        return error(f'{task} weights', f'{problem}: {mend}')
    return ok(f'{task} weights', f'{manifest.name}, hash verified '
                                 f'({manifest.sha256[:12]}): {path}')


def space_findings(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Room on disk and in shared memory, and whether ROS can write its logs."""
    log_folder = ros_log_folder(environment)
    for about, folder in (('disk', Path.cwd()), ('log folder', log_folder)):
        existing = next(place for place in (folder, *folder.parents) if place.exists())
        if not os.access(existing, os.W_OK):
            if about == 'log folder':
                yield error(about, f'{folder} can not be written to, so no node starts: '
                                   'set ROS_LOG_DIR to a folder that can')
            continue
        yield _space_finding(about, existing, DISK_MB, 'make room there')
    if SHARED_MEMORY.is_dir():
        yield _space_finding(
            'shared memory', SHARED_MEMORY, SHARED_MEMORY_MB,
            'in a container, start it with --shm-size=512m or --ipc=host; where no node runs, '
            f'remove what killed ones left: rm {SHARED_MEMORY}/fastdds_*')


def ros_log_folder(environment: Mapping[str, str]) -> Path:
    """Where ROS writes its logs."""
    if environment.get('ROS_LOG_DIR'):
        return Path(environment['ROS_LOG_DIR']).expanduser()
    home = environment.get('ROS_HOME') or '~/.ros'
    return Path(home).expanduser() / 'log'


def _space_finding(about: str, folder: Path, limits_mb: tuple[float, float], mend: str) -> Finding:
    usage = shutil.disk_usage(folder)
    text = f'{folder}: {usage.free / MB:.0f} of {usage.total / MB:.0f} MB free'
    low_mb, enough_mb = limits_mb
    if usage.free >= enough_mb * MB:
        return ok(about, text)
    make = error if usage.free < low_mb * MB else warn
    return make(about, f'{text}, {enough_mb:.0f} MB are wanted: {mend}')


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ''


def _first_line(problem: Exception) -> str:
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0]


def _dotted(version: tuple[int, int]) -> str:
    return '.'.join(map(str, version))
