"""The nodes: wiring only."""
