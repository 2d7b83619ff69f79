import numpy as np
import pytest

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
