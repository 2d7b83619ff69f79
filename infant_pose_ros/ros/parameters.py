"""ROS parameters made from the settings dataclasses: declared once, read once, checked always."""

from __future__ import annotations

from collections.abc import Callable, Collection
import dataclasses
from typing import TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from infant_pose_ros.config import Settings
from infant_pose_ros.errors import InfantPoseError, SettingsError

SettingsType = TypeVar('SettingsType', bound=Settings)
#: Parameters that every node may have without being in its settings: rclpy's own, and those that
#: publishers and subscriptions declare as they are made.
_FOREIGN, _OF_TOPICS = ('use_sim_time', 'start_type_description_service'), 'qos_overrides.'


def descriptor_for(spec: dataclasses.Field, wanted: type) -> ParameterDescriptor:
    """What `ros2 param describe` tells of a setting: description, range, choices, read_only."""
    meta = spec.metadata
    # Typed by `check_value`, which names the parameter when it refuses, and which takes a whole
    # number for a float; rclpy's own check does neither.
    descriptor = ParameterDescriptor(
        name=spec.name, description=meta['description'], read_only=meta['read_only'],
        dynamic_typing=True)
    if meta['choices'] is not None:
        descriptor.additional_constraints = f'one of: {", ".join(meta["choices"])}'
    if meta['low'] is not None and meta['high'] is not None:
        if wanted is int:
            descriptor.integer_range = [
                IntegerRange(from_value=meta['low'], to_value=meta['high'])]
        elif wanted is float:
            descriptor.floating_point_range = [FloatingPointRange(
                from_value=float(meta['low']), to_value=float(meta['high']))]
    return descriptor


def declare_settings(node: Node, settings_type: type[SettingsType]) -> SettingsType:
    """Declare every setting as a parameter of `node` and read them all.

    Raises:
        SettingsError: a value given at the start has the wrong type or is out of range; the
            message names it.
    """
    values = {}
    for spec, wanted in settings_type.specs():
        try:
            parameter = node.declare_parameter(
                spec.name, spec.default, descriptor_for(spec, wanted))
        except InvalidParameterValueException as error:
            raise SettingsError(f'{spec.name}: {error}') from error
        values[spec.name] = parameter.value
    return settings_type.from_mapping(values)


def unknown_parameters(node: Node, has_topics: bool = False) -> list[str]:
    """Names given at the start that no one declared: misspelt, and without effect.

    Args:
        has_topics: whether all publishers and subscriptions are made: then the QoS overrides that
            none of them declared have no effect either.
    """
    given = getattr(node, '_parameter_overrides', {})
    return sorted(name for name in given
                  if not node.has_parameter(name) and name not in _FOREIGN
                  and (has_topics or not name.startswith(_OF_TOPICS)))


def follow_settings(node: Node, current: Callable[[], SettingsType],
                    apply: Callable[[SettingsType], None],
                    names: Collection[str] | None = None) -> None:
    """Hand every later change to `apply`, and reject with the reason what it refuses.

    Args:
        current: gives the settings in force; they have a `replace(**changes)`.
        apply: puts new settings in force; may raise an InfantPoseError to refuse them.
        names: of their parameters; None: one for each field.
    """
    known = {spec.name for spec, _ in type(current()).specs()} if names is None else set(names)

    def on_set(parameters: list[Parameter]) -> SetParametersResult:
        changes = {parameter.name: parameter.value for parameter in parameters
                   if parameter.name in known}
        if changes:
            try:
                apply(current().replace(**changes))
            except InfantPoseError as error:
                return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(on_set)
