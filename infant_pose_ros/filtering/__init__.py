"""Kalman tracks of keypoints: birth, smoothing, death."""
