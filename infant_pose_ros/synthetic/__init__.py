"""Rendered infants: body, motion, camera, renderer, writer."""
