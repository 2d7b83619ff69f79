"""Settings: frozen dataclasses that are declared once, with type, range and description.

The command line, the YAML files, the ROS parameters and the table in the docs are all made from
the fields below.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
from dataclasses import dataclass
from pathlib import Path
import re
import typing
from typing import Any

from infant_pose_ros.errors import InvalidInputError, SettingsError
from infant_pose_ros.text_files import read_yaml, shown, shown_names

#: A region of interest has at least this share of the picture's width and height.
SMALLEST_ROI = 0.05
#: pose_node's settings that a camera among several may have of its own, `<camera>.<setting>`.
OWN_SETTINGS = ('body_length_m', 'age_months', 'mattress_distance_m', 'roi', 'max_infants')
#: What a camera may be called: it stands in topic names.
CAMERA_NAME = re.compile(r'[A-Za-z](_?[A-Za-z0-9])*')
#: A text setting may have so many characters: a path has less.
MAX_CHARACTERS = 4096


def setting(default, description: str, *, low=None, high=None, choices=None,
            read_only: bool = False, check: Callable[[Any], object] | None = None):
    """Declare one setting.

    Args:
        default: value where none is given; its type is the setting's type.
        description: one sentence for people.
        low, high: inclusive range of a number.
        choices: the allowed values of a string.
        read_only: it can't change while a node runs, because models or topics hang on it.
        check: raises a ValueError that says what is wrong with a value.
    """
    return dataclasses.field(default=default, metadata={
        'description': description, 'low': low, 'high': high, 'choices': choices,
        'read_only': read_only, 'check': check})


def check_value(spec: dataclasses.Field, wanted: type, value: Any) -> Any:
    """Return `value` as `wanted`, or raise a SettingsError that names value, limit and mend."""
    name, meta = spec.name, spec.metadata
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            value = float(value)
        except OverflowError as error:
            raise SettingsError(f'{name}: {shown(value)} is too large') from error
    if not isinstance(value, wanted) or (wanted is not bool and isinstance(value, bool)):
        raise SettingsError(
            f'{name}: expected {wanted.__name__}, got {shown(value)} ({type(value).__name__})')
    if wanted is float and value != value:
        raise SettingsError(f'{name}: expected a number, got nan')
    if wanted is str:
        _check_text(name, value)
    low, high, choices = meta['low'], meta['high'], meta['choices']
    if (low is not None and value < low) or (high is not None and value > high):
        raise SettingsError(f'{name}: {shown(value)} is outside {low} .. {high}')
    if choices is not None and value not in choices:
        raise SettingsError(
            f'{name}: {shown(value)} is not one of {", ".join(map(repr, choices))}')
    if meta['check'] is not None:
        try:
            meta['check'](value)
        except ValueError as error:
            raise SettingsError(f'{name}: {error}') from error
    return value


def _check_text(name: str, value: str) -> None:
    """Refuse what no path, name or message can hold."""
    if len(value) > MAX_CHARACTERS:
        raise SettingsError(f'{name}: {len(value)} characters; at most {MAX_CHARACTERS} are taken')
    if '\0' in value or not value.isascii() and any('\ud800' <= c <= '\udfff' for c in value):
        raise SettingsError(f'{name}: {shown(value)} holds characters that no text may have '
                            '(NUL, or half of a surrogate pair)')


def parse_roi(text: str) -> tuple[float, float, float, float] | None:
    """(x1, y1, x2, y2), shares of the picture, of a region 'x1,y1,x2,y2'; None where it is empty.

    Raises:
        ValueError: it is no such region; the message says why.
    """
    if not text.strip():
        return None
    form = "expected 'x1,y1,x2,y2' as shares of the picture, such as '0.25,0,0.75,1'"
    try:
        x1, y1, x2, y2 = (float(part) for part in text.split(','))
    except ValueError as error:
        raise ValueError(f'{text!r}: {form}') from error
    if not all(0.0 <= share <= 1.0 for share in (x1, y1, x2, y2)):      # also for NaN
        raise ValueError(f'{text!r}: a share lies outside 0 .. 1; {form}')
    if x2 - x1 < SMALLEST_ROI or y2 - y1 < SMALLEST_ROI:
        raise ValueError(f'{text!r}: x1 < x2 and y1 < y2 must differ by {SMALLEST_ROI} or more; '
                         f'{form}')
    return x1, y1, x2, y2


def parse_cameras(text: str) -> tuple[str, ...]:
    """The names in 'left,right'; none where it is empty.

    Raises:
        ValueError: a name that no topic may have, or one that stands there twice.
    """
    names = tuple(name.strip() for name in text.split(',')) if text.strip() else ()
    for name in names:
        if not CAMERA_NAME.fullmatch(name):
            raise ValueError(f'{name!r} in {text!r}: expected letters, digits and single _, '
                             "beginning with a letter, such as 'left,right'")
    if len(set(names)) < len(names):
        raise ValueError(f'{text!r}: each camera needs a name of its own')
    return names


class Settings:
    """Base of the settings dataclasses: checks every field when made."""

    def __post_init__(self):
        for spec, wanted in self.specs():
            object.__setattr__(
                self, spec.name, check_value(spec, wanted, getattr(self, spec.name)))

    @classmethod
    def specs(cls) -> list[tuple[dataclasses.Field, type]]:
        """Each field with its type (bool, int, float or str)."""
        hints = typing.get_type_hints(cls)
        return [(spec, hints[spec.name]) for spec in dataclasses.fields(cls)]

    @classmethod
    def from_mapping(cls, mapping: typing.Mapping[str, Any]):
        """Make settings from a mapping; missing keys keep their default.

        Raises:
            SettingsError: an unknown key, a wrong type or a value out of range.
        """
        known = [spec.name for spec, _ in cls.specs()]
        unknown = [name for name in mapping if name not in known]
        if unknown:
            raise SettingsError(
                f'unknown setting{"s" if len(unknown) > 1 else ""} {shown_names(unknown)}; '
                f'known: {", ".join(known)}')
        return cls(**mapping)

    @classmethod
    def from_yaml(cls, path: str | Path):
        """Read settings from a flat YAML file; unknown keys are refused.

        Raises:
            SettingsError: the file is missing, larger than a MB, no YAML mapping, names a
                setting twice, or holds a bad one.
        """
        try:
            content = read_yaml(path)
        except InvalidInputError as error:
            raise SettingsError(f'settings file {path}: {error}') from error
        if content is None:
            content = {}
        if not isinstance(content, dict):
            raise SettingsError(f'settings file {path}: expected "name: value" lines')
        try:
            return cls.from_mapping(content)
        except SettingsError as error:
            raise SettingsError(f'settings file {path}: {error}') from error

    def replace(self, **changes):
        """A copy with some settings changed, checked again."""
        return dataclasses.replace(self, **changes)


@dataclass(frozen=True)
class PipelineSettings(Settings):
    """What turns pictures into poses; knows no ROS."""

    device: str = setting(
        'auto', "Where the networks run: 'auto' (a GPU where there is one), 'cpu', 'cuda' or "
        "'cuda:N'.", read_only=True)
    precision: str = setting(
        'auto', "Number format of the networks: 'auto' takes fp16 on a GPU and fp32 on a CPU.",
        choices=('auto', 'fp32', 'fp16', 'bf16'), read_only=True)
    gpu_oom_policy: str = setting(
        'cpu', "What happens when the GPU's memory runs out: 'cpu' goes on with the networks on "
        "the CPU, slower, and says so; 'fail' lets the frame, or configure, fail.",
        choices=('cpu', 'fail'))
    num_threads: int = setting(
        0, 'CPU threads of the networks; 0 leaves the choice to PyTorch.', low=0, high=256,
        read_only=True)
    detector_weights: str = setting(
        '', 'Path of the detector checkpoint; empty takes the bundled one.', read_only=True)
    pose_weights: str = setting(
        '', 'Path of the 2D pose checkpoint; empty takes the bundled one.', read_only=True)
    lifter_weights: str = setting(
        '', 'Path of the lifter checkpoint; empty takes the bundled one.', read_only=True)
    detect_every: int = setting(
        60, 'Frames between two looks for infants while tracking is sure.', low=1, high=100000)
    detect_async: bool = setting(
        True, 'Run the detector on its own thread while an infant is being followed; false makes '
        'results independent of timing.')
    detection_score_min: float = setting(
        0.5, 'Lowest score of a detection that begins a track.', low=0.0, high=1.0)
    max_infants: int = setting(
        1, 'Most infants followed at once; the best are kept.', low=1, high=8)
    roi: str = setting(
        '', "Region of interest 'x1,y1,x2,y2', shares of the picture from its top left corner: "
        'who lies outside is not followed. Empty: all of it.', check=parse_roi)
    adult_policy: str = setting(
        'prefer', "What happens to people whose proportions are an adult's: 'prefer' follows them "
        "where no infant needs the place, 'refuse' does not follow them and tells so, 'off' "
        "doesn't look.", choices=('prefer', 'refuse', 'off'))
    infant_score_min: float = setting(
        0.25, 'Who is less likely an infant than this, by the proportions, counts as an adult.',
        low=0.01, high=0.99)
    crop_scale: float = setting(
        1.25, 'Side of the crop over the longer side of the infant.', low=1.0, high=3.0)
    crop_turns: bool = setting(
        True, 'Turn the crop so that the trunk stands upright in it.')
    keypoint_score_min: float = setting(
        0.25, 'A keypoint that scores less counts as not seen in this frame.', low=0.0, high=1.0)
    track_score_min: float = setting(
        0.4, 'Mean keypoint score that an infant needs to be believed: no track begins under it, '
        'and the detector looks again for a track that falls under it.', low=0.0, high=1.0)
    body_length_m: float = setting(
        0.0, 'Crown to heel length of the infant, m; it sets the scale of 3D. 0 means unknown.',
        low=0.0, high=2.2)
    age_months: float = setting(
        -1.0, 'Age in months, used for the scale where body_length_m is 0; -1 means unknown.',
        low=-1.0, high=240.0)
    mattress_distance_m: float = setting(
        0.0, 'Distance from the camera to the mattress along the middle of its view, m; the '
        "infant's length is estimated from it where body_length_m is 0. 0 means unknown.",
        low=0.0, high=20.0)
    smoothing: bool = setting(True, 'Smooth with the Kalman filter; false passes raw poses on.')
    acceleration_std_3d: float = setting(
        0.8, 'How hard wrists and ankles may accelerate without surprise, m/s^2 (standard '
        'deviation; other keypoints less): less is smoother.', low=0.01, high=1000.0)
    acceleration_std_2d: float = setting(
        350.0, 'The same in the picture, px/s^2 for a picture 640 px wide.',
        low=1.0, high=1e6)
    smoothing_lag_ms: float = setting(
        58.0, 'Time constant that calms the published pose of a still keypoint, ms; it shortens '
        'as the keypoint moves. 0 leaves the Kalman filter alone.', low=0.0, high=1000.0)
    keypoint_score_hysteresis: float = setting(
        0.05, 'A keypoint that was not seen must score this much more than keypoint_score_min '
        'to be seen again.', low=0.0, high=1.0)
    bone_stiffness: float = setting(
        0.25, 'How stiffly the published pose keeps to the bone lengths learned from each infant; '
        '0 leaves them free. It matters for hidden limbs.', low=0.0, high=100.0)
    swap_patience_s: float = setting(
        0.7, 'Left and right exchanged in a reading are put back, until readings insist for so '
        'long, s; 0 believes every reading.', low=0.0, high=60.0)
    gate_sigma: float = setting(
        10.0, 'A measurement further than this many standard deviations of its whole error from '
        'the prediction is left out.', low=1.0, high=100.0)
    predict_max_s: float = setting(
        0.5, 'A keypoint not seen for longer is lost, s.', low=0.0, high=60.0)
    track_max_s: float = setting(
        1.0, 'A track with no keypoint seen for longer ends, s.', low=0.0, high=60.0)
    id_max_s: float = setting(
        10.0, 'An infant that was lost and is found again where it was, within this time, gets '
        'its id back, s.', low=0.0, high=3600.0)
    gap_reset_s: float = setting(
        2.0, 'A longer jump between two stamps begins all tracks anew, s.', low=0.05, high=3600.0)


@dataclass(frozen=True)
class PoseNodeSettings(PipelineSettings):
    """Parameters of pose_node: the pipeline's and its own."""

    autostart: bool = setting(
        True, 'Configure and activate without waiting for a lifecycle manager.', read_only=True)
    camera_name: str = setting(
        'camera', 'Name of the camera: namespace of its markers and key of its state.',
        read_only=True)
    cameras: str = setting(
        '', "Names of several cameras, separated by commas: 'left,right'. Each has its topics "
        "under its name (`left/image`, `~/left/keypoints`). Empty: one camera, camera_name, whose "
        'topics have no such prefix.', read_only=True, check=parse_cameras)
    max_batch: int = setting(
        0, 'Frames of several cameras that go through the networks at once, at most; 0 takes all '
        'that wait.', low=0, high=64)
    deterministic: bool = setting(
        False, 'Answer every frame, in order, each with the CameraInfo of its own stamp, and wait '
        'for every look of the detector: the same bag gives the same poses, however fast the '
        'machine is. For recordings: results lag where it is too slow.', read_only=True)
    image_transport: str = setting(
        'raw', "'raw' subscribes to `image`, 'compressed' to `image/compressed`.",
        choices=('raw', 'compressed'), read_only=True)
    reliability: str = setting(
        'auto', "Reliability of the image subscription; 'auto' is reliable where every publisher "
        'offers it.', choices=('auto', 'reliable', 'best_effort'), read_only=True)
    use_depth: bool = setting(
        False, 'Subscribe to `depth`, the depth picture registered to `image`; one with exactly '
        'the same stamp corrects 3D.', read_only=True)
    depth_wait_ms: float = setting(
        30.0, 'A frame waits at most so long for its depth picture, ms; then it is answered '
        'without.', low=0.0, high=1000.0)
    max_age_ms: float = setting(
        500.0, 'A frame older than this when its turn comes is dropped and counted, ms; 0 keeps '
        'all.', low=0.0, high=3.6e6)
    no_image_warn_s: float = setting(
        2.0, 'Without an image for longer, diagnostics warn, s.', low=0.1, high=3600.0)
    no_infant_warn_s: float = setting(
        30.0, 'Without an infant in view for longer, diagnostics warn, s; 0 never does.',
        low=0.0, high=86400.0)
    drop_warn_share: float = setting(
        0.3, 'Share of the recent images that were replaced unseen by newer ones from which '
        'diagnostics warn of falling behind; 1 never does.', low=0.0, high=1.0)
    brightness_min: float = setting(
        15.0, 'Diagnostics call a picture darker than this too dark, mean of 0 .. 255; 0 never '
        'does.', low=0.0, high=255.0)
    sharpness_min: float = setting(
        0.5, 'Diagnostics call a picture less sharp than this blurred: 1 has step edges, 0 none; '
        '0 never does.', low=0.0, high=1.0)
    frozen_warn_s: float = setting(
        5.0, 'Diagnostics warn when the picture has not changed by one bit for longer, though '
        'new stamps come, s; 0 never does.', low=0.0, high=3600.0)


@dataclass(frozen=True)
class CameraNodeSettings(Settings):
    """Parameters of camera_node."""

    source: str = setting(
        '', 'A video file, a folder of pictures, a bag, or a webcam (/dev/video0 or its number); '
        'empty plays the bundled clip.', read_only=True)
    camera_info: str = setting(
        '', 'ROS camera_info YAML; empty takes the one beside the source, if any.',
        read_only=True)
    frame_id: str = setting(
        'camera_optical_frame', 'Frame of the published images.', read_only=True)
    rate_hz: float = setting(
        0.0, "Pictures a second; 0 takes the source's own rate.", low=0.0, high=1000.0,
        read_only=True)
    loop: bool = setting(True, 'Begin again at the end of the source.', read_only=True)
    compressed: bool = setting(
        False, 'Publish JPEG on `image/compressed` in place of `image`.', read_only=True)
    start_delay_s: float = setting(
        0.0, 'Wait this long before the first picture, s.', low=0.0, high=600.0, read_only=True)
    wait_for_subscribers: int = setting(
        0, 'Wait until the image has this many subscribers.', low=0, high=100, read_only=True)


@dataclass(frozen=True)
class OverlayNodeSettings(Settings):
    """Parameters of overlay_node."""

    show_box: bool = setting(True, 'Draw the box around each infant.')
    show_text: bool = setting(True, 'Write track, score and rate.')
    privacy: str = setting(
        'off', "'black' draws on black, 'blur' on a blurred picture.",
        choices=('off', 'black', 'blur'))
    draw_raw: bool = setting(False, 'Draw the keypoints before smoothing as well, thin.')
    layout: str = setting(
        'single', "'side_by_side' shows raw keypoints on the left and smoothed ones on the right, "
        'in a picture twice as wide.', choices=('single', 'side_by_side'))
    trail_s: float = setting(
        0.0, 'Draw the paths of wrists and ankles of the last so many seconds; 0 draws none.',
        low=0.0, high=10.0)
    score_min: float = setting(
        0.2, 'Keypoints that score less are not drawn.', low=0.0, high=1.0)
    image_transport: str = setting(
        'raw', "'raw' subscribes to `image`, 'compressed' to `image/compressed`.",
        choices=('raw', 'compressed'), read_only=True)
    reliability: str = setting(
        'auto', "Reliability of the image subscription; 'auto' is reliable where every publisher "
        'offers it.', choices=('auto', 'reliable', 'best_effort'), read_only=True)
    max_wait_frames: int = setting(
        60, 'Pictures kept while they wait for their keypoints.', low=1, high=1000,
        read_only=True)
