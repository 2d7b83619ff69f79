"""Matplotlib, where it is installed, without a screen."""

from __future__ import annotations

from infant_pose_ros.errors import MissingDependencyError


def pyplot():
    """The module `matplotlib.pyplot`, drawing into files.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise MissingDependencyError(
            "plots need matplotlib: pip install 'infant_pose_ros[evaluate]'") from error
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    return plt
