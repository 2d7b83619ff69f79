"""Streaming 3D infant pose estimation: detection, 2D keypoints, lifting, smoothing."""

__version__ = '0.1.0'
