"""Similarities of one frame: neighborhood scores, the similarity margin, and its null model."""
