"""Geometric verification of candidates by local features."""
