"""Losses, loops and runs."""
