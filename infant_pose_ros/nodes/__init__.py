"""The nodes: wiring only."""

from infant_pose_ros import entry

if entry.runs_as_module():      # python -m infant_pose_ros.nodes.NAME
    entry.end_at_once()
