"""Frozen value types that travel through the pipeline; each checks itself when it is made.

Coordinate spaces: *frame* is the camera picture in pixels (x right, y down, the centre of the
top left pixel at 0, 0), *model* a network's input picture, *camera* the optical frame in metres
(x right, y down, z forward). NaN in a coordinate means that the keypoint is missing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.skeleton import NUM_KEYPOINTS, TrackState
from infant_pose_ros.text_files import read_yaml, shown

#: Lens model -> how many coefficients it may have. OpenCV extends the rational polynomial by
#: those of a thin prism (12) and of a tilted sensor (14); with less it is the plumb bob.
DISTORTION_LENGTHS = {
    'plumb_bob': (4, 5), 'rational_polynomial': (4, 5, 8, 12, 14), 'equidistant': (4,)}
#: A focal length lies within this share and this multiple of the picture's longer side, the
#: principal point no further than that multiple from it, and no coefficient is larger than that.
FOCAL_SHARES, MAX_CENTRE_SHARE, MAX_COEFFICIENT = (1e-3, 1e3), 1e2, 1e6
#: Skew, as a share of the focal length, that may be left out: some px at a picture's edge.
_MAX_SKEW = 1e-2
#: Other names that drivers give to these models.
DISTORTION_ALIASES = {'fisheye': 'equidistant', 'kannala_brandt4': 'equidistant'}


def checked_array(name: str, value, shape: tuple[int | None, ...], dtype=np.float64):
    """Return `value` as a read-only array of `shape` (None: any length) or raise.

    Raises:
        InvalidInputError: the shape or the type doesn't fit.
    """
    try:
        array = np.array(value, dtype=dtype)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f'{name}: expected numbers of shape {shape}: {error}') from error
    if array.shape != shape and (array.ndim != len(shape) or any(
            want is not None and want != got for want, got in zip(shape, array.shape))):
        raise InvalidInputError(f'{name}: expected shape {shape}, got {array.shape}')
    array.setflags(write=False)
    return array


def checked_intrinsics(k) -> tuple[float, float, float, float]:
    """fx, fy, cx and cy of an intrinsic matrix K, its 9 numbers row by row.

    Raises:
        InvalidInputError: K is all zeros, as an uncalibrated camera has it, or not of the form
            [fx 0 cx, 0 fy cy, 0 0 1]: skewed or transposed.
    """
    if not np.any(k):
        raise InvalidInputError(
            'camera: is uncalibrated, its K is all zeros: calibrate it, with camera_calibration '
            'say, and give the file to its driver')
    fx, skew, cx, left, fy, cy, *last = (float(value) for value in np.ravel(k))
    # Some drivers fill in what they need, and leave the last number 0.
    is_pinhole = (abs(skew) <= _MAX_SKEW * abs(fx) and left == 0.0
                  and last in ([0.0, 0.0, 1.0], [0.0, 0.0, 0.0]))
    if fx > 0 and fy > 0 and not is_pinhole:        # of other fx and fy `Camera` tells
        raise InvalidInputError(
            f'camera: K is {[fx, skew, cx, left, fy, cy, *last]}, expected the form '
            '[fx, 0, cx, 0, fy, cy, 0, 0, 1]: is it transposed, skewed or not filled in?')
    return fx, fy, cx, cy


def effective_lens(model: str, coefficients) -> tuple[str, list[float]]:
    """Lens model and coefficients, '' and none where all of them are zero and so do nothing.

    An equidistant lens without further terms is no pinhole, and is kept. Zeros beyond what the
    model takes are left out: some drivers fill up to a fixed number.
    """
    values, name = [float(value) for value in coefficients], DISTORTION_ALIASES.get(model, model)
    longest = max(DISTORTION_LENGTHS.get(name, (0,)))
    if longest and not any(values[longest:]):
        values = values[:longest]
    is_fisheye = name == 'equidistant' and values
    return (model, values) if is_fisheye or any(values) else ('', [])


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera with lens distortion.

    Attributes:
        fx, fy: focal lengths, px. cx, cy: principal point, px.
        width, height: picture size, px.
        distortion_model: '' (none), 'plumb_bob', 'rational_polynomial' or
            'equidistant' ('fisheye' and 'kannala_brandt4' are the same and change to it).
        distortion: its coefficients in OpenCV's order.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    distortion_model: str = ''
    distortion: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self):
        if not (np.isfinite([self.fx, self.fy, self.cx, self.cy]).all()
                and self.fx > 0 and self.fy > 0):
            raise InvalidInputError(
                f'camera: fx and fy must be finite and positive, got fx={self.fx}, fy={self.fy}: '
                'calibrate it or publish no camera_info')
        if self.width <= 0 or self.height <= 0:
            raise InvalidInputError(
                f'camera: width and height must be positive, got {self.width}x{self.height}: '
                'they are those of the picture that was calibrated; fill them in')
        longer = max(self.width, self.height)
        least, most = (share * longer for share in FOCAL_SHARES)
        if not (least <= min(self.fx, self.fy) and max(self.fx, self.fy) <= most
                and max(abs(self.cx), abs(self.cy)) <= MAX_CENTRE_SHARE * longer):
            raise InvalidInputError(
                f'camera: fx={self.fx:g}, fy={self.fy:g}, cx={self.cx:g}, cy={self.cy:g} px are '
                f'not those of a {self.width}x{self.height} picture: calibrate it again')
        coefficients = checked_array('camera distortion', self.distortion, (None,))
        self._check_lens(coefficients)
        object.__setattr__(self, 'distortion', coefficients)

    def _check_lens(self, coefficients: np.ndarray) -> None:
        """Give the model its usual name, and refuse coefficients that don't fit it."""
        model = DISTORTION_ALIASES.get(self.distortion_model, self.distortion_model)
        object.__setattr__(self, 'distortion_model', model)
        if model:
            allowed = DISTORTION_LENGTHS.get(model)
            if allowed is None:
                raise InvalidInputError(
                    f'camera: unknown distortion_model {shown(model)}; '
                    f'known: {", ".join(sorted(DISTORTION_LENGTHS))}')
            if len(coefficients) not in allowed and len(coefficients):
                raise InvalidInputError(
                    f'camera: {model} takes {" or ".join(map(str, allowed))} '
                    f'coefficients, got {len(coefficients)}')
        elif coefficients.any():
            raise InvalidInputError(
                f'camera: {len(coefficients)} distortion coefficients without a '
                'distortion_model: name it, plumb_bob say')
        if not (np.abs(coefficients) <= MAX_COEFFICIENT).all():     # NaN is not, either
            raise InvalidInputError(
                f'camera: distortion coefficients must be finite, none beyond {MAX_COEFFICIENT:g}')

    @property
    def matrix(self) -> np.ndarray:
        """The 3x3 intrinsic matrix K."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    @property
    def has_distortion(self) -> bool:
        """Whether the lens is anything but a pinhole.

        An equidistant lens is so even with coefficients that are all zero: the ideal fisheye.
        """
        is_fisheye = self.distortion_model == 'equidistant' and len(self.distortion) > 0
        return is_fisheye or bool(np.any(self.distortion))

    @classmethod
    def from_camera_info_yaml(cls, path: str | Path) -> Camera:
        """Read the YAML that ROS's camera_calibration writes.

        Raises:
            InvalidInputError: the file is missing, no YAML, or lacks a field.
        """
        try:
            content = read_yaml(path)
            matrix = np.array(content['camera_matrix']['data'], dtype=float).reshape(3, 3)
            coefficients = content.get('distortion_coefficients', {}).get('data', [])
            fx, fy, cx, cy = checked_intrinsics(matrix)
            return cls(fx, fy, cx, cy, int(content['image_width']), int(content['image_height']),
                       *effective_lens(content.get('distortion_model', ''), coefficients))
        except InvalidInputError as error:
            raise InvalidInputError(f'camera file {path}: {error}') from error
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise InvalidInputError(
                f'camera file {path}: {shown(error)}; expected image_width, image_height and '
                'camera_matrix.data with 9 numbers, as camera_calibration writes them') from error

    def to_camera_info_yaml(self, name: str = 'camera') -> str:
        """Text of the same YAML; `from_camera_info_yaml` reads it back."""
        coefficients = [float(c) for c in self.distortion] or [0.0] * 5
        projection = np.hstack([self.matrix, np.zeros((3, 1))])
        return yaml.safe_dump({
            'image_width': int(self.width), 'image_height': int(self.height),
            'camera_name': name,
            'camera_matrix': {
                'rows': 3, 'cols': 3, 'data': [float(v) for v in self.matrix.ravel()]},
            'distortion_model': self.distortion_model or 'plumb_bob',
            'distortion_coefficients': {
                'rows': 1, 'cols': len(coefficients), 'data': coefficients},
            'rectification_matrix': {
                'rows': 3, 'cols': 3, 'data': [float(v) for v in np.eye(3).ravel()]},
            'projection_matrix': {
                'rows': 3, 'cols': 4, 'data': [float(v) for v in projection.ravel()]},
        }, sort_keys=False)


@dataclass(frozen=True, eq=False)
class Detection:
    """One infant found in a picture: `box_xyxy` (4,) frame px, `score` 0..1."""

    box_xyxy: np.ndarray
    score: float

    def __post_init__(self):
        box = checked_array('box_xyxy', self.box_xyxy, (4,))
        if not np.isfinite(box).all() or box[2] <= box[0] or box[3] <= box[1]:
            raise InvalidInputError(
                f'box_xyxy: expected finite x1 < x2 and y1 < y2, got {box.tolist()}')
        object.__setattr__(self, 'box_xyxy', box)


@dataclass(frozen=True, eq=False)
class Pose2D:
    """Keypoints in a picture.

    Attributes:
        keypoints_px: (16, 2) float64, frame px; NaN where missing.
        score: (16,) float64, 0..1.
        covariance_px2: (16, 2, 2) float64, px^2, of the whole error; NaN where missing.
        noise_px2: (16, 2, 2) float64, px^2: the part of it that is drawn anew in every frame,
            as `Pose3D.noise_m2` is. Left out: all of it.
    """

    keypoints_px: np.ndarray
    score: np.ndarray
    covariance_px2: np.ndarray
    noise_px2: np.ndarray | None = None

    def __post_init__(self):
        if self.noise_px2 is None:
            object.__setattr__(self, 'noise_px2', self.covariance_px2)
        for name, shape in (('keypoints_px', (NUM_KEYPOINTS, 2)), ('score', (NUM_KEYPOINTS,)),
                            ('covariance_px2', (NUM_KEYPOINTS, 2, 2)),
                            ('noise_px2', (NUM_KEYPOINTS, 2, 2))):
            object.__setattr__(self, name, checked_array(name, getattr(self, name), shape))


@dataclass(frozen=True, eq=False)
class Pose3D:
    """Keypoints in space.

    Attributes:
        keypoints_m: (16, 3) float64, m; NaN where missing. In the camera's optical frame when
            `is_absolute`, else relative to the pelvis with the camera's axes.
        covariance_m2: (16, 3, 3) float64, m^2, of the whole error; NaN where missing.
        is_absolute: whether a calibrated camera placed the root.
        noise_m2: (16, 3, 3) float64, m^2: the part that is drawn anew in every frame, so that
            a filter can average it out: of the root's place, and of the other keypoints
            relative to the root, as the depth of the whole body trembles more than its pose.
            The rest of `covariance_m2` stays much the same while the pose does: no filter sees
            it. Left out: all of it is noise.
    """

    keypoints_m: np.ndarray
    covariance_m2: np.ndarray
    is_absolute: bool
    noise_m2: np.ndarray | None = None

    def __post_init__(self):
        if self.noise_m2 is None:
            object.__setattr__(self, 'noise_m2', self.covariance_m2)
        for name, shape in (('keypoints_m', (NUM_KEYPOINTS, 3)),
                            ('covariance_m2', (NUM_KEYPOINTS, 3, 3)),
                            ('noise_m2', (NUM_KEYPOINTS, 3, 3))):
            object.__setattr__(self, name, checked_array(name, getattr(self, name), shape))


@dataclass(frozen=True, eq=False)
class TrackedInfant:
    """One infant in one frame, before and after smoothing.

    Attributes:
        track: id, 1..65535, stable while the infant stays in view.
        box_xyxy: (4,) frame px, around the keypoints.
        crop_corners_px: (4, 2) frame px, the turned square that the pose network saw.
        raw_2d, raw_3d: this frame's estimate; None when the keypoints were not estimated.
        smooth_2d, smooth_3d: the Kalman filter's.
        state: (16,) uint8 of `TrackState`, for the smoothed keypoints.
        score: (16,) 0..1, of the smoothed keypoints; 0 where lost.
    """

    track: int
    box_xyxy: np.ndarray
    crop_corners_px: np.ndarray
    raw_2d: Pose2D | None
    raw_3d: Pose3D | None
    smooth_2d: Pose2D
    smooth_3d: Pose3D
    state: np.ndarray
    score: np.ndarray

    def __post_init__(self):
        if not 1 <= self.track <= 65535:
            raise InvalidInputError(f'track: expected 1..65535, got {self.track}')
        for name, shape, dtype in (
                ('box_xyxy', (4,), np.float64), ('crop_corners_px', (4, 2), np.float64),
                ('state', (NUM_KEYPOINTS,), np.uint8), ('score', (NUM_KEYPOINTS,), np.float64)):
            object.__setattr__(self, name, checked_array(name, getattr(self, name), shape, dtype))
        if self.state.max(initial=0) > max(TrackState):
            raise InvalidInputError(f'state: expected 0..2, got {self.state.tolist()}')


@dataclass(frozen=True, eq=False)
class CameraFrame:
    """A picture of one of several cameras; whoever answers it checks what it holds.

    Attributes:
        image_rgb: (H, W, 3) uint8.
        stamp_s: when it was taken, s.
        camera: its calibration; without it 3D is relative to the pelvis.
        camera_name: whose picture it is.
        depth_m: (H, W) floating point, m along the optical axis, registered to the picture and
            of the same moment; NaN or 0 where unknown. It needs a camera.
    """

    image_rgb: np.ndarray
    stamp_s: float
    camera: Camera | None = None
    camera_name: str = 'camera'
    depth_m: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class FrameResult:
    """The answer for one frame: `infants` is empty when nothing was seen.

    Attributes:
        stamp_s: capture time of the picture, s.
        infants: the main infant first, where this frame tells of it; then by score.
        detections: what the detector said of this frame; None when it did not run.
        stage_ms: milliseconds by stage: 'detect', 'pose', 'lift', 'filter', 'total'. Frames of
            several cameras that were answered together have 'pose' and 'lift' of all of them.
        body_length_m: the length that set the scale, m.
        was_reset: the stamps jumped and the tracks were begun anew.
        main_track: id of the main infant's track, 0 for none. It stays the main one as long as
            its track lives, also in frames that can't tell where it is; no other infant takes
            its place meanwhile. Left out: the first of `infants` is the main one.
        placement: what placed the main infant in this frame: 'depth' (a depth picture of the
            same moment), 'reprojection' (its size in the picture) or 'none' (no camera, or
            nothing to place).
        scale_origin: where `body_length_m` comes from: 'given', 'age', 'estimated' or 'assumed'.
        scale_std: the relative standard deviation of that length.
        num_refused: people who were seen, at the detector's last look or since, and are not among
            `infants` because their proportions are taken for an adult's.
    """

    stamp_s: float
    infants: tuple[TrackedInfant, ...]
    detections: tuple[Detection, ...] | None
    stage_ms: dict[str, float]
    body_length_m: float
    was_reset: bool = False
    main_track: int | None = None
    placement: str = 'none'
    scale_origin: str = 'assumed'
    scale_std: float = 0.0
    num_refused: int = 0

    def __post_init__(self):
        if self.main_track is None:
            first = self.infants[0].track if self.infants else 0
            object.__setattr__(self, 'main_track', first)

    @property
    def main_infant(self) -> TrackedInfant | None:
        """The infant of `main_track`; None where there is none or this frame can't tell of it."""
        is_first = self.infants and self.infants[0].track == self.main_track
        return self.infants[0] if is_first else None
