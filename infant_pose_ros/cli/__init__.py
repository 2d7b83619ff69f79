"""The infant-pose command."""
