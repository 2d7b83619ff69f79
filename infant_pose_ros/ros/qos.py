"""Quality of service of every topic, and the reliability that all publishers offer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from infant_pose_ros.errors import SettingsError


def _profile(depth: int, reliability: ReliabilityPolicy,
             durability: DurabilityPolicy = DurabilityPolicy.VOLATILE) -> QoSProfile:
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=reliability,
                      durability=durability)


def result_qos() -> QoSProfile:
    """For keypoints, poses and joint states."""
    return _profile(10, ReliabilityPolicy.RELIABLE)


def marker_qos() -> QoSProfile:
    """For markers: only the newest matters."""
    return _profile(1, ReliabilityPolicy.RELIABLE)


def latched_qos() -> QoSProfile:
    """For what a late subscriber must still get: skeleton_info."""
    return _profile(1, ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL)


def diagnostics_qos() -> QoSProfile:
    """For /diagnostics, as diagnostic_updater publishes it."""
    return _profile(10, ReliabilityPolicy.RELIABLE)


def image_qos(reliability: ReliabilityPolicy, depth: int = 1) -> QoSProfile:
    """For the image subscription: the newest picture only, or `depth` of them."""
    return _profile(depth, reliability)


@contextmanager
def checked_overrides(topic: str, entity: str) -> Iterator[None]:
    """For making a publisher or subscription that QoS overriding parameters may change.

    Args:
        topic: resolved. entity: 'publisher' or 'subscription'.

    Raises:
        SettingsError: one of them has a value that does not exist; rclpy names no topic.
    """
    try:
        yield
    except RuntimeError as error:
        if 'QoS override' not in str(error):
            raise
        raise SettingsError(f'qos_overrides.{topic}.{entity}: {error}') from error


def agreed_reliability(setting: str, offered: Iterable[ReliabilityPolicy]) -> ReliabilityPolicy:
    """The reliability to subscribe with.

    Args:
        setting: 'reliable', 'best_effort', or 'auto': reliable where every publisher offers it,
            also while there is none yet (fragments of raw pictures get lost otherwise).
        offered: what the topic's publishers offer.
    """
    if setting == 'reliable':
        return ReliabilityPolicy.RELIABLE
    if setting == 'best_effort' or ReliabilityPolicy.BEST_EFFORT in set(offered):
        return ReliabilityPolicy.BEST_EFFORT
    return ReliabilityPolicy.RELIABLE
