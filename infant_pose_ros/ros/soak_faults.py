"""The faults that a soak injects: what each does, and what /diagnostics should say of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
import itertools

import cv2
import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from infant_pose_ros.ros import soak_node_faults as nodes
from infant_pose_ros.ros.images import encode_image
from infant_pose_ros.ros.soak_pictures import (
    absurd_infos,
    damaged,
    header,
    in_encodings,
    paced,
    PicturePublisher,
)
from infant_pose_ros.ros.soak_rig import Rig, SoakProblemError

#: How long pictures must answer at the usual rate again at the latest, s; more where a process
#: starts anew.
LIMIT_S, RESTART_LIMIT_S = 30.0, 90.0
#: A stream of odd pictures lasts so long at least, and at most where a fault is to be shown, s.
STREAM_S, STREAM_MAX_S = 3.0, 12.0
_FOUR_K_WH = (3840, 2160)


@dataclass(frozen=True)
class Kind:
    """One kind of fault.

    Attributes:
        inject: does it and takes the cause away again; tells details, '' for none.
        shows: names of which /diagnostics must show at least one meanwhile; none: no matter.
        limit_s: how long the recovery may take.
        is_rare: it ends a process, and memory is judged over the life of one: once an hour at
            most, at the beginning of a round, and then so many `times`.
    """

    name: str
    inject: Callable[[Rig], str]
    shows: tuple[str, ...] = ()
    limit_s: float = LIMIT_S
    is_rare: bool = False
    times: int = 1


def _stream(rig: Rig, publisher: PicturePublisher, images: Iterable[Image],
            shows: tuple[str, ...] = (), offset_s: float = 0.0, rate_hz: float = 0.0) -> int:
    """Publish at the camera's rate, or another, until a fault shows; how many it were."""
    rate_hz = rate_hz or rig.rate_hz
    least, most = round(STREAM_S * rate_hz), round(STREAM_MAX_S * rate_hz)
    sent = 0
    for index, image in zip(paced(most, rate_hz, rig.wait), images, strict=False):
        if index >= least and (not shows or rig.shown(shows)):
            break
        image.header = header(offset_s)
        publisher.send(image)
        sent += 1
    return sent


def _clip(rig: Rig, change: Callable[[np.ndarray], np.ndarray] = lambda picture: picture):
    """The clip's pictures as messages, over and over."""
    return (encode_image(np.ascontiguousarray(change(picture)))
            for picture in itertools.cycle(rig.props.pictures_rgb))


def _encodings(rig: Rig) -> str:
    with rig.other_camera() as publisher:
        sent = _stream(rig, publisher, in_encodings(itertools.cycle(rig.props.pictures_rgb)))
    return f'{sent} pictures in 5 encodings'


def _best_effort(rig: Rig) -> str:
    rig.deaf()      # the subscription is made anew for it, and again afterwards
    with rig.other_camera(reliable=False) as publisher:
        sent = _stream(rig, publisher, _clip(rig))
    rig.wait(1.0)
    rig.hears()
    return f'{sent} pictures'


def _burst(rig: Rig) -> str:
    with rig.other_camera() as publisher:
        sent = _stream(rig, publisher, _clip(rig), rate_hz=200.0)
    return f'{sent} pictures'


def _four_k(rig: Rig) -> str:
    pictures = [cv2.resize(picture, _FOUR_K_WH) for picture in rig.props.pictures_rgb[:2]]
    images = (encode_image(picture) for picture in itertools.cycle(pictures))
    with rig.other_camera() as publisher:
        sent = _stream(rig, publisher, images, rate_hz=5.0)
    return f'{sent} pictures'


def _garbage(rig: Rig) -> str:
    kinds = damaged(rig.props.pictures_rgb[0])
    rig.random.shuffle(kinds)
    with rig.other_camera() as publisher:
        sent = _stream(rig, publisher, itertools.cycle(kinds), SHOWS_GARBAGE, rate_hz=10.0)
    return f'{sent} pictures, damaged in {len(kinds)} ways'


def _absurd_camera_info(rig: Rig) -> str:
    info = rig.random.choice(absurd_infos(rig.props.camera))
    sent = 0
    with rig.other_camera() as publisher:
        for index in paced(round(STREAM_MAX_S * rig.rate_hz), rig.rate_hz, rig.wait):
            if index > STREAM_S * rig.rate_hz and rig.shown(SHOWS_CAMERA_INFO):
                break
            picture = rig.props.pictures_rgb[index % len(rig.props.pictures_rgb)]
            publisher.send(encode_image(picture, header()), info)
            sent += 1
    return f'{sent} of {info.width}x{info.height}, {len(info.d)} coefficients'


def _looping_bag(rig: Rig) -> str:
    """The same second of stamps again and again; max_age_ms is off, as for a bag."""
    _accepted(rig, {'max_age_ms': 0.0})
    per_loop = round(rig.rate_hz)
    headers = [header(index / rig.rate_hz) for index in range(per_loop)]
    try:
        with rig.other_camera() as publisher:
            for index in paced(4 * per_loop, rig.rate_hz, rig.wait):
                picture = rig.props.pictures_rgb[index % len(rig.props.pictures_rgb)]
                publisher.send(encode_image(picture, _copy(headers[index % per_loop])))
    finally:
        _accepted(rig, {'max_age_ms': 500.0})
    return f'4 times {per_loop} pictures'


def _odd_stamps(offset_s: float, shows: tuple[str, ...]) -> Callable[[Rig], str]:
    def inject(rig: Rig) -> str:
        with rig.other_camera() as publisher:
            sent = _stream(rig, publisher, _clip(rig), shows, offset_s)
        return f'{sent} pictures, {offset_s:+g} s'
    return inject


def _stamps_back(rig: Rig) -> str:
    """Each stamp lies before the last one."""
    sent = 0
    with rig.other_camera() as publisher:
        for index in paced(round(STREAM_MAX_S * rig.rate_hz), rig.rate_hz, rig.wait):
            if index > STREAM_S * rig.rate_hz and rig.shown(SHOWS_BACK):
                break
            picture = rig.props.pictures_rgb[index % len(rig.props.pictures_rgb)]
            publisher.send(encode_image(picture, header(-2.0 * index / rig.rate_hz)))
            sent += 1
    return f'{sent} pictures'


def _no_stamps(rig: Rig) -> str:
    sent = 0
    with rig.other_camera() as publisher:
        for index in paced(round(STREAM_MAX_S * rig.rate_hz), rig.rate_hz, rig.wait):
            if index > STREAM_S * rig.rate_hz and rig.shown(SHOWS_NO_STAMPS):
                break
            picture = rig.props.pictures_rgb[index % len(rig.props.pictures_rgb)]
            publisher.send(encode_image(picture, Header()))
            sent += 1
    return f'{sent} pictures'


def _pictures(change: Callable[[np.ndarray], np.ndarray], shows: tuple[str, ...]
              ) -> Callable[[Rig], str]:
    def inject(rig: Rig) -> str:
        with rig.other_camera() as publisher:
            return f'{_stream(rig, publisher, _clip(rig, change), shows)} pictures'
    return inject


def _frozen(rig: Rig) -> str:
    still = encode_image(rig.props.pictures_rgb[0])
    with rig.other_camera() as publisher:
        return f'{_stream(rig, publisher, itertools.repeat(still), SHOWS_FROZEN)} pictures'


def _accepted(rig: Rig, values: dict[str, object]) -> None:
    for name, result in zip(values, rig.set_parameters(values), strict=True):
        if not result.successful:
            raise SoakProblemError(f'pose_node refused {name}: {result.reason}')


def _copy(given: Header) -> Header:
    return Header(stamp=given.stamp, frame_id=given.frame_id)


SHOWS_GARBAGE = ('frame_failed', 'unknown_encoding')
SHOWS_CAMERA_INFO = ('camera_info_misfit', 'camera_info_unusable', 'no_camera_info')
SHOWS_BACK, SHOWS_NO_STAMPS = ('stamps_run_backwards',), ('no_stamps',)
SHOWS_FUTURE, SHOWS_STALE = ('stamps_in_future',), ('stale_frames',)
SHOWS_DARK, SHOWS_FROZEN = ('too_dark',), ('frozen_picture',)

#: For it all subscribe anew, which frees what DDS keeps for the largest and the most pictures that
#: ever waited: so memory is looked at right after it.
SUBSCRIBED_ANEW = Kind('best_effort', _best_effort)

KINDS = {kind.name: kind for kind in (
    Kind('camera_killed', nodes.camera_killed, ('no_publisher', 'no_image'), RESTART_LIMIT_S,
         is_rare=True, times=3),
    Kind('camera_exchanged', nodes.camera_exchanged, (), RESTART_LIMIT_S, is_rare=True, times=3),
    Kind('camera_paused', nodes.camera_paused, ('no_image',)),
    Kind('encodings', _encodings),
    Kind('burst_200_hz', _burst),
    Kind('four_k', _four_k),
    SUBSCRIBED_ANEW,
    Kind('garbage_pictures', _garbage, SHOWS_GARBAGE),
    Kind('absurd_camera_info', _absurd_camera_info, SHOWS_CAMERA_INFO),
    Kind('looping_bag', _looping_bag),
    Kind('stamps_back', _stamps_back, SHOWS_BACK),
    Kind('stamps_in_future', _odd_stamps(10.0, SHOWS_FUTURE), SHOWS_FUTURE),
    Kind('stamps_stale', _odd_stamps(-5.0, SHOWS_STALE), SHOWS_STALE),
    Kind('no_stamps', _no_stamps, SHOWS_NO_STAMPS),
    Kind('frozen_picture', _frozen, SHOWS_FROZEN),
    Kind('dark_pictures', _pictures(lambda picture: picture // 32, SHOWS_DARK), SHOWS_DARK),
    Kind('reader_stopped', nodes.reader_stopped),
    Kind('parameters', nodes.parameters),
    Kind('reset', nodes.reset),
    Kind('disabled', nodes.disabled),
    Kind('deactivated', nodes.deactivated),
    Kind('cleaned_up', nodes.cleaned_up, (), RESTART_LIMIT_S),
    Kind('overlay_killed', nodes.overlay_killed, (), RESTART_LIMIT_S, is_rare=True),
    Kind('pose_node_restarted', nodes.pose_node_restarted, (), RESTART_LIMIT_S, is_rare=True),
    Kind('cpu_load', nodes.cpu_load),
)}
