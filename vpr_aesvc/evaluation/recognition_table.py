"""Recognition as a table for the page, and as rows for ``results.json``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.evaluation.results import PartResult, RecognitionResult
from vpr_aesvc.evaluation.tables import Cell, Head, Row, Table


def recognition_table(result: RecognitionResult | None) -> Table | None:
    """One row a form: what it finds, what is accepted at the rate asked for, and what a frame costs. None without any."""
    if result is None:
        return None
    counted = ("accepted", "right", "wrong", *(("not in the map",) if result.absent else ()), "recall")
    heads = [
        Head("best match", ("R@1", "gained", "lost")),
        Head("level in hindsight", ("recall at precision 1", "area")),
        Head(f"at a rate of {100 * result.rate:g}\u00a0%", counted),
        Head("probability", ("ECE",)),
        Head("a frame", ("ms",)),
    ]
    protocol = result.protocol
    reading = (
        f"The recognizer, on a map of {protocol['map']} ({protocol['descriptors']}), was asked for {protocol['order']}. "
        f"{protocol['right_places']}. Motion: {protocol['motion']}.\nGained and lost are queries whose best match is right "
        "only with, or only without, the parts. Recall is of the queries that have a right place: at precision 1, what is "
        "accepted before the first wrong match, at a level that only hindsight knows; at the rate, with the level that the map alone "
        "taught. Similarity alone promises no rate, so everything is accepted. ECE is the expected calibration error of the probability "
        "of the best match, in 15 bins; with few queries a perfect one has some too. Milliseconds: the median, without decoding and describing."
    )
    return Table("Recognition", reading, "rests on", heads, [_row(part, bool(result.absent)) for part in result.parts])


def _row(part: PartResult, absent: bool) -> Row:
    seen, curve = part.at_rate, part.curve
    counts = [str(seen.right + seen.wrong), str(seen.right), str(seen.wrong)]
    return Row(
        part.name,
        [
            _cells(f"{part.recall_at_1:.3f}", str(part.gained), str(part.lost)),
            _cells(f"{curve.recall_at_full_precision:.3f}", f"{curve.area:.3f}") if curve else _cells("", ""),
            _cells(*counts, *([str(seen.absent)] if absent else []), f"{seen.recall:.3f}"),
            _cells(f"{part.reliability.error:.3f}" if part.reliability else ""),
            _cells(f"{part.ms:.2f}"),
        ],
    )


def _cells(*texts: str) -> list[Cell]:
    return [Cell(text) for text in texts]


def recognition_json(result: RecognitionResult) -> dict[str, Any]:
    """Every number with its protocol; an empty bin's is null."""
    return {
        "protocol": result.protocol,
        "false_positive_rate": result.rate,
        "queries": result.queries,
        "queries_without_right_place": result.absent,
        "parts": [_part(part) for part in result.parts],
    }


def _part(part: PartResult) -> dict[str, Any]:
    seen, curve, diagram = part.at_rate, part.curve, part.reliability
    return {
        "part": part.name,
        "recall_at_1": part.recall_at_1,
        "best_gained": part.gained,
        "best_lost": part.lost,
        "recall_at_full_precision": curve.recall_at_full_precision if curve else None,
        "precision_recall_area": curve.area if curve else None,
        "accepted": seen.right + seen.wrong,
        "right": seen.right,
        "wrong": seen.wrong,
        "accepted_without_right_place": seen.absent,
        "recall": seen.recall,
        "wrong_at_recall": {f"{recall:g}": wrong for recall, wrong in part.wrong_at_recall.items()},
        "expected_calibration_error": diagram.error if diagram else None,
        "reliability": None
        if diagram is None
        else {
            "edges": _numbers(diagram.edges),
            "predicted": _numbers(diagram.predicted),
            "observed": _numbers(diagram.observed),
            "counts": diagram.counts.tolist(),
        },
        "ms": part.ms,
    }


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values.tolist()]
