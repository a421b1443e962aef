"""The answers of ``vpr query``: as JSON lines and as a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.markup import escape
from rich.table import Table

from vpr_aesvc.recognition.result import Recognition
from vpr_aesvc.types import Frame, Match

SHOWN = 40  # rows of the table; --json gives all


class Answer(NamedTuple):
    """The matches of one frame, best first, and the recognition if matches were accepted or refused."""

    frame: Frame
    matches: list[Match]
    recognition: Recognition | None


def print_json_line(answer: Answer, is_run: bool) -> None:
    """One JSON object on standard output.

    Args:
        is_run: adds what only a run has: stamp, the pose of the best match, and the state of the sequence filter.
    """
    frame, matches, result = answer
    line: dict[str, Any] = {"query": frame.label, "matches": [_match_json(match) for match in matches]}
    if result is not None:
        line |= {
            "accepted": result.accepted,
            "why": result.why,
            "probability": round(result.probability, 6),
            "false_positive_rate": round(result.false_positive_rate, 6),
        }
        if is_run:
            line |= {
                "stamp": frame.stamp,
                "lost": round(result.lost, 6),
                "inliers": result.inliers,
                "message": result.message,
                "pose": None if result.pose is None else result.pose.as_tuple(),
                "covariance": None if result.covariance is None else result.covariance.ravel().tolist(),
            }
    print(json.dumps(line))


def _match_json(match: Match) -> dict[str, Any]:
    place = match.place
    line: dict[str, Any] = {
        "place": place.id,
        "path": place.label,
        "similarity": round(match.similarity, 6),
        "traverse": place.traverse,
    }
    if place.pose:
        line["pose"] = place.pose.as_tuple()
    return line


def answers_table(answers: Sequence[Answer]) -> Table:
    """A row for each answer, at most ``SHOWN``; it fits 80 columns. Refused matches say why."""
    decided = any(answer.recognition is not None for answer in answers)
    columns = ("accepted", "why") if decided else ("x, y \\[m]", "next best")
    table = Table("query", "best match", "similarity", *columns)
    for frame, matches, result in answers[:SHOWN]:
        if not matches:
            table.add_row(escape(frame.label), "", "", *(("no", "") if decided else ("", "the map is empty")))
            continue
        best = matches[0]
        if result is None:
            pose = best.place.pose
            position = f"{pose.x:.1f}, {pose.y:.1f}" if pose else ""
            details = (position, ", ".join(f"{match.similarity:.2f}" for match in matches[1:]))
        else:
            reason = result.why.partition(": ")[2] or result.why
            details = (f"{'yes' if result.accepted else 'no'}, {result.probability:.2f}", escape(reason))
        table.add_row(escape(frame.label), escape(best.place.label), f"{best.similarity:.3f}", *details)
    return table
