from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
import contextlib

import numpy as np
import pytest

from infant_pose_ros.synthetic import synthcot_writer, writer
from infant_pose_ros.synthetic.motion import sample_infant
from infant_pose_ros.synthetic.renderer import Renderer
from infant_pose_ros.synthetic.scene import sample_scene


@pytest.fixture(scope='session')
def renderer():
    return Renderer(3)


@pytest.fixture(scope='session')
def bodies():
    """Four poses of one infant, half a minute apart."""
    return sample_infant(np.random.default_rng(11), np.arange(4) * 30.0, roll_rad=0.0)


@pytest.fixture
def scene(renderer, bodies):
    return sample_scene(np.random.default_rng(12), bodies.keypoints_m[:1], (320, 240),
                        renderer.num_fabrics, renderer.num_reliefs)


class KilledPool(contextlib.nullcontext):
    """Instead of a pool of processes: one whose processes are killed at once."""

    def __init__(self, *_, **__):
        super().__init__(self)

    def submit(self, *_):
        job = Future()
        job.set_exception(BrokenProcessPool('killed'))
        return job

    def shutdown(self, **_):
        pass


@pytest.fixture
def killed_pool(monkeypatch):
    for module in (writer, synthcot_writer):
        monkeypatch.setattr(module, 'ProcessPoolExecutor', KilledPool)
