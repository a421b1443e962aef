"""What `benchmarks/recognition.py` counts: acceptance curves and the order of the queries."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.recognition_variants import VariantAnswers, acceptance_curve, recording_order
from vpr_aesvc.types import Frame


def test_curve_by_hand() -> None:
    nan = np.full(6, np.nan)
    rates = np.array([0.01, 0.02, 0.02, 0.5, 0.02, 1.0])
    probabilities = np.array([0.9, 0.8, 0.7, 0.9, 0.7, 0.0])
    answers = VariantAnswers(np.zeros(6, np.int64), nan, rates, probabilities, nan)
    assert answers.levels.tolist() == [4, 3, 2, 1, 2, 0]
    hits = np.array([True, True, False, True, True, False])
    known = np.array([True, True, True, True, True, False])
    curve = acceptance_curve(answers.levels, hits, known)
    assert curve is not None
    # Levels from the top: 1 right; 2; 3 and 1 wrong; 4 and 1; 4 and 2.
    assert curve.recall.tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 0.8])
    assert curve.precision.tolist() == pytest.approx([1, 1, 1, 3 / 4, 4 / 5, 4 / 6])
    assert curve.recall_at_full_precision == pytest.approx(0.4)
    assert curve.area == pytest.approx(0.2 + 0.2 + 0.2 * 3 / 4 + 0.2 * 4 / 5)
    assert answers.accepted(0.02).tolist() == [True, True, True, False, True, False]
    assert acceptance_curve(answers.levels, np.zeros(6, bool), known) is None


def test_order() -> None:
    frames = [
        Frame(str(at), sequence=name, index=index) for at, (name, index) in enumerate([("b", 2), ("a", 9), ("b", 1)])
    ]
    assert recording_order(frames).tolist() == [1, 2, 0]
    assert recording_order([Frame("x"), Frame("y")]).tolist() == [0, 1]
    stamped = [Frame("lap 2", sequence="a", index=1, stamp=9.0), Frame("lap 1", sequence="a", index=2, stamp=3.0)]
    assert recording_order(stamped).tolist() == [1, 0]
