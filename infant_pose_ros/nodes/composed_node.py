"""infant_pose_nodes: several of the package's nodes in one process. Wiring only."""

from __future__ import annotations

import argparse
from collections.abc import Callable
import importlib
import sys

from rclpy.node import Node
from rclpy.utilities import remove_ros_args

from infant_pose_ros.entry import finish
from infant_pose_ros.ros.running import run_nodes

#: The nodes to choose from, as (module, class). pose_node comes first: it loads models.
NODES = {'pose_node': ('pose_node', 'PoseNode'),
         'camera_node': ('camera_node', 'CameraNode'),
         'overlay_node': ('overlay_node', 'OverlayNode')}


def make_parser() -> argparse.ArgumentParser:
    """Options of `infant_pose_nodes`, without ROS's own."""
    parser = argparse.ArgumentParser(
        prog='infant_pose_nodes', description='Run several nodes in one process.',
        epilog='After --ros-args come remappings and parameters. With the name of a node before '
        'them they are for that node alone: -r camera_node:__ns:=/camera '
        '-p pose_node:detect_every:=30')
    parser.add_argument('nodes', nargs='+', choices=list(NODES), metavar='NODE',
                        help=f'some of {", ".join(NODES)}')
    return parser


def _maker(name: str, made: list[Node]) -> Callable[[], Node]:
    def make() -> Node:
        module, node_class = NODES[name]
        node = getattr(importlib.import_module(f'infant_pose_ros.nodes.{module}'), node_class)()
        made.append(node)
        return node
    return make


def main(args: list[str] | None = None) -> int:
    """Console script `infant_pose_nodes`: the nodes end together, with the worst exit code."""
    given = sys.argv if args is None else ['infant_pose_nodes', *args]
    asked = make_parser().parse_args(remove_ros_args(given)[1:]).nodes
    made: list[Node] = []
    code = run_nodes([_maker(name, made) for name in NODES if name in asked], given)
    return max([code, *(getattr(node, 'exit_code', 0) for node in made)])


if __name__ == '__main__':
    finish(main())
