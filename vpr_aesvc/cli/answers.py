"""What ``vpr query`` says of each image: as JSON, as a table, and recall where the truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.markup import escape
from rich.table import Table

from vpr_aesvc.cli.console import err
from vpr_aesvc.datasets.positives import guess_tolerance, positives
from vpr_aesvc.evaluation.metrics import recall
from vpr_aesvc.recognition.result import Recognition
from vpr_aesvc.types import Frame, Match, Place

Answer = tuple[Frame, list[Match], "Recognition | None"]
SHOWN = 40  # rows of the table; --json gives all


def answer_line(frame: Frame, matches: Sequence[Match], found: Recognition | None) -> dict[str, Any]:
    """One image as JSON."""
    line: dict[str, Any] = {"query": frame.label, "matches": [_match_line(match) for match in matches]}
    if found is not None:
        line |= {
            "accepted": found.accepted,
            "why": found.why,
            "probability": round(found.probability, 6),
            "false_positive_rate": round(found.false_positive_rate, 6),
        }
    return line


def _match_line(match: Match) -> dict[str, Any]:
    place = match.place
    found: dict[str, Any] = {
        "place": place.id,
        "path": place.label,
        "similarity": round(match.similarity, 6),
        "traverse": place.traverse,
    }
    if place.pose:
        found["pose"] = place.pose.as_tuple()
    return found


def answers_table(answers: Sequence[Answer]) -> Table:
    """The first of them, a row an image."""
    recognized = any(found is not None for _, _, found in answers)
    said = ("accepted", "probability") if recognized else ()
    table = Table("query", "best match", "similarity", *said, "traverse", "x, y \\[m]", "next best")
    for frame, matches, found in answers[:SHOWN]:
        if not matches:
            table.add_row(escape(frame.label), "the map is empty")
            continue
        best = matches[0]
        where = f"{best.place.pose.x:.1f}, {best.place.pose.y:.1f}" if best.place.pose else ""
        others = ", ".join(f"{match.similarity:.2f}" for match in matches[1:])
        query, match, traverse = map(escape, (frame.label, best.place.label, best.place.traverse))
        verdict = ("yes" if found.accepted else "no", f"{found.probability:.2f}") if found is not None else ()
        table.add_row(query, match, f"{best.similarity:.3f}", *verdict, traverse, where, others)
    return table


def say_recall(answers: Sequence[tuple[Frame, list[Match]]], places: Sequence[Place], top: int) -> None:
    """Recall, where the queries and the places say who is near whom; on standard error, to leave --json alone."""
    asked, there = [frame for frame, _ in answers], [_as_frame(place) for place in places]
    tolerance = guess_tolerance([*asked, *there])
    right = positives(asked, there, tolerance)
    if right is None or not places:
        return
    row_of = {place.id: row for row, place in enumerate(places)}
    ranked = np.array([[row_of[match.place.id] for match in matches] for _, matches in answers])
    found = recall(ranked, right, sorted({k for k in (1, 5, 10, top) if k <= min(top, len(places))}))
    if not found.queries:
        err.print("no query has a right place in the map, so recall cannot be given")
        return
    numbers = ", ".join(f"R@{k} {value:.3f}" for k, value in found.at.items())
    without = f" ({found.without} without a right place left out)" if found.without else ""
    err.print(f"{numbers} over {found.queries} queries, right {tolerance}{without}")


def _as_frame(place: Place) -> Frame:
    index = place.extra.get("index")
    return Frame(
        label=place.label, pose=place.pose, sequence=place.traverse, index=None if index is None else float(index)
    )
