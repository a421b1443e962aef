"""Helpers for tests of null models."""

import numpy as np


def margin_at(null, rate):
    """The margin from which matches are accepted at a false-positive rate; infinite if the map cannot promise it."""
    margins = np.linspace(0, 200, 200_001)
    accepted = null.false_positive_rate(margins) <= rate
    return margins[np.argmax(accepted)] if accepted.any() else np.inf
