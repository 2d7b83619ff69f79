import sys

import pytest

from infant_pose_ros.errors import MissingDependencyError
from infant_pose_ros.media.plotting import pyplot


def test_plots_are_drawn_into_files(tmp_path):
    plt = pyplot()
    figure, axis = plt.subplots()
    axis.plot([0, 1], [1, 0])
    figure.savefig(tmp_path / 'plot.png')
    plt.close(figure)
    assert (tmp_path / 'plot.png').stat().st_size > 1000


def test_without_matplotlib_the_mend_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'matplotlib', None)
    with pytest.raises(MissingDependencyError, match='pip install'):
        pyplot()
