"""Keyframes: which frames of a run become places."""
