"""Metrics, comparison of methods, and the report."""
