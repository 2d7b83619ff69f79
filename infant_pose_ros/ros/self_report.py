"""What a pose_node tells of its inputs, its models and the space that it works in."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from rclpy.node import Node

from infant_pose_ros.allocator import in_use_mb
from infant_pose_ros.ros.camera_memory import CameraMemory
from infant_pose_ros.ros.diagnostics import process_memory_mb
from infant_pose_ros.ros.faults import InputStatus, MESSAGE_TRANSPORTS
from infant_pose_ros.ros.graph import publishers_of
from infant_pose_ros.ros.image_input import ImageInput
from infant_pose_ros.ros.skeleton_info import describe_space, Space


def input_status(node: Node, images: ImageInput, transport: str, camera: CameraMemory,
                 listeners: Set[tuple[str, str]] = frozenset()) -> InputStatus:
    """What the graph tells of the inputs now.

    Args:
        listeners: nodes that get the images and the answers: pictures of theirs are drawn from
            these, and are nothing to answer.
    """
    offered, known = images.offered(), camera.camera
    return InputStatus(
        topic=images.topic, transport=transport, num_publishers=len(offered),
        num_incompatible=images.num_incompatible(offered),
        other_type=other_type(node, images.topic, transport),
        other_topics=tuple(images.image_topics(listeners)),
        camera_info_topic=images.camera_info_topic,
        has_camera_info=known is not None, camera_info_arrives=camera.arrives,
        camera_info_age_s=camera.age_s,
        camera_error=camera.decode_error, camera_misfit=camera.fit_error,
        camera_size_wh=None if known is None else (known.width, known.height),
        uses_sim_time=bool(node.get_parameter('use_sim_time').value),
        tells_lost=images.tells_lost,
        clock_ns=node.get_clock().now().nanoseconds,
        num_clock_publishers=node.count_publishers('/clock'))


def other_type(node: Node, topic: str, transport: str) -> str:
    """What all publishers of an image topic send that isn't of this transport; '' else."""
    types = {info.topic_type for info in publishers_of(node, topic)}
    fits = any(MESSAGE_TRANSPORTS.get(name) == transport for name in types)
    return min(types) if types and not fits else ''


def memory_values() -> dict[str, str]:
    """Memory of this process, for /diagnostics: resident, and in use of that."""
    resident_mb, used_mb = process_memory_mb(), in_use_mb()
    return {'memory_mb': 'unknown' if resident_mb is None else f'{resident_mb:.0f}',
            'memory_in_use_mb': 'unknown' if used_mb is None else f'{used_mb:.1f}'}


def pipeline_values(description: dict[str, Any], images: ImageInput, space: Space,
                    camera: CameraMemory) -> dict[str, str]:
    """Models, device, inputs, scale and placement, for /diagnostics.

    Args:
        description: what the pipeline says of itself.
    """
    told = describe_space(space)
    values = {
        'device': description['device'], 'precision': description['precision'],
        'image_topic': images.topic, 'reliability': images.reliability.name.lower(),
        'placement': told['placement'], 'position': told['position'],
        'body_length': f'{told["body_length_m"]:.3f} m +- {told["scale_relative_std"]:.0%}: '
                       f'{told["scale"]}'}
    values.update((f'{task}_model', f'{model["name"]} ({model["sha256"][:12]})')
                  for task, model in description['models'].items())
    if camera.camera is not None:
        values['camera_info'] = f'{camera.camera.width}x{camera.camera.height}'
    return values
