"""The settings of a node with one camera or several, some of which a camera has of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rclpy.exceptions import InvalidParameterValueException
from rclpy.node import Node

from infant_pose_ros.config import OWN_SETTINGS, parse_cameras, PoseNodeSettings
from infant_pose_ros.errors import SettingsError
from infant_pose_ros.ros.parameters import declare_settings, descriptor_for


@dataclass(frozen=True)
class CameraSettings:
    """The node's settings, and those that cameras have of their own.

    Attributes:
        shared: the node's.
        own: values by `<camera>.<setting>`.

    Raises:
        SettingsError: a value that a camera may not have.
    """

    shared: PoseNodeSettings
    own: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        for name in self.cameras:
            self.of(name)

    @property
    def cameras(self) -> tuple[str, ...]:
        """The names of all cameras."""
        return parse_cameras(self.shared.cameras) or (self.shared.camera_name,)

    @property
    def has_several(self) -> bool:
        """Whether topics, services and parameters stand under the cameras' names."""
        return bool(parse_cameras(self.shared.cameras))

    @property
    def names(self) -> list[str]:
        """Of all parameters."""
        return [spec.name for spec, _ in PoseNodeSettings.specs()] + self.own_names

    @property
    def own_names(self) -> list[str]:
        """Of the parameters that cameras may have of their own."""
        return [f'{camera}.{name}' for camera in self.cameras
                for name in OWN_SETTINGS] if self.has_several else []

    @property
    def pipeline(self) -> PoseNodeSettings:
        """Of the pipeline as a whole: nothing that depends on timing where it is to repeat."""
        if self.shared.deterministic:
            return self.shared.replace(detect_async=False, max_age_ms=0.0)
        return self.shared

    def of(self, camera: str) -> PoseNodeSettings:
        """What is in force for a camera."""
        start = f'{camera}.'
        own = {name.removeprefix(start): value for name, value in self.own.items()
               if name.startswith(start)}
        try:
            return self.pipeline.replace(camera_name=camera, **own)
        except SettingsError as error:
            raise SettingsError(f'{start}{error}' if own else str(error)) from error

    def replace(self, **changes: Any) -> CameraSettings:
        """A copy with some parameters changed; a camera's own that is None is taken away."""
        own = {**self.own, **{name: changes.pop(name) for name in self.own_names
                              if name in changes}}
        return CameraSettings(
            self.shared.replace(**changes),
            {name: value for name, value in own.items() if value is not None})


def declare_camera_settings(node: Node) -> CameraSettings:
    """Declare all parameters of pose_node, those of its cameras without a value, and read them.

    Raises:
        SettingsError: a value given at the start has the wrong type or is out of range.
    """
    settings = CameraSettings(declare_settings(node, PoseNodeSettings))
    return settings.replace(**_declare_own(node, settings.own_names))


def declare_deleted(node: Node, settings: CameraSettings) -> None:
    """Declare again what a camera had of its own and was deleted: it can be set again."""
    _declare_own(node, [name for name in settings.own_names if not node.has_parameter(name)],
                 ignore_override=True)


def _declare_own(node: Node, names: list[str], ignore_override: bool = False) -> dict[str, Any]:
    """Declare cameras' own parameters without a value; those given at the start."""
    specs = {spec.name: (spec, wanted) for spec, wanted in PoseNodeSettings.specs()}
    own = {}
    for name in names:
        descriptor = descriptor_for(*specs[name.split('.')[1]])
        descriptor.name = name
        descriptor.description = f"This camera's own: {descriptor.description}"
        try:
            own[name] = node.declare_parameter(name, None, descriptor, ignore_override).value
        except InvalidParameterValueException as error:
            raise SettingsError(f'{name}: {error}') from error
    return own
