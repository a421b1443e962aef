"""Sequence: the Bayes filter over places."""
