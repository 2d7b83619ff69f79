"""Boxes, crops, camera projection, placement and alignment (NumPy only)."""
