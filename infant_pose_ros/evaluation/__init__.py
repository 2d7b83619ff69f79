"""Metrics, evaluators and reports."""
