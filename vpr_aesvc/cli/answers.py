"""What ``vpr query`` prints: the answers as JSON lines or as a table, how many were accepted, and recall if the truth is known."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from rich.table import Column, Table

from vpr_aesvc.cli.console import err, out
from vpr_aesvc.datasets.positives import guess_tolerance, positives
from vpr_aesvc.evaluation.metrics import recall
from vpr_aesvc.frame_source import FrameSource
from vpr_aesvc.geography import zones_differ
from vpr_aesvc.placemap.interface import OpenMap
from vpr_aesvc.recognition.result import Recognition
from vpr_aesvc.types import Frame, Match, Place, Pose

_SHOWN = 40  # rows of the table; --json gives all


class Answer(NamedTuple):
    """The matches of one frame, best first, and the recognition if matches were accepted or refused."""

    frame: Frame
    matches: list[Match]
    recognition: Recognition | None


def print_json_line(answer: Answer, is_run: bool) -> None:
    """One JSON object on standard output. ``is_run``: adds what only a run has: stamp, the pose of the best match, and the
    state of the sequence filter."""
    frame, matches, result = answer
    line: dict[str, Any] = {"query": frame.label, "matches": [_match_json(match) for match in matches]}
    if result is not None:
        line |= {
            "accepted": result.accepted,
            "why": result.why,
            "probability": round(result.probability, 6),
            "false_positive_rate": round(result.false_positive_rate, 6),
            "metric": _metric_json(result),
            "metric_refusal": result.metric_refusal,
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


def _metric_json(result: Recognition) -> dict[str, Any] | None:
    metric = result.metric
    if metric is None:
        return None
    return {
        "relative_pose": metric.relative_pose.as_tuple(),
        "covariance": metric.covariance.ravel().tolist(),
        "inliers": metric.inliers,
        "points": metric.points,
    }


def _match_json(match: Match) -> dict[str, Any]:
    place = match.place
    line: dict[str, Any] = {"place": place.id, "path": place.label, "similarity": round(match.similarity, 6)}
    line["traverse"] = place.traverse
    if place.pose:
        line["pose"] = place.pose.as_tuple()
    return line


def answers_table(answers: Sequence[Answer]) -> Table:
    """A row for each answer, at most 40; it fits 80 columns. Each decision says why. The folder that all labels share is in the title alone."""
    shown = answers[:_SHOWN]
    decided = any(answer.recognition is not None for answer in shown)
    columns = ["accepted", "best match, similarity and why"]
    if not decided:
        columns = ["best match", "similarity", "x, y [m]", "next best"]
    of_query = _folder([frame.label for frame, *_ in shown])
    of_place = _folder([matches[0].place.label for _, matches, _ in shown if matches])
    named = " and ".join(
        f"{what} in {folder}" for what, folder in (("queries", of_query), ("matches", of_place)) if folder
    )
    table = Table(
        *(Column(name, overflow="fold") for name in ("query", *columns)), title=named or None, show_lines=decided
    )
    for frame, matches, result in shown:
        query = frame.label.removeprefix(of_query)
        best = matches[0].place.label.removeprefix(of_place) if matches else ""
        if result is not None:
            reason = result.why.partition(": ")[2] or result.why
            found = f"{best}, {matches[0].similarity:.3f}\n" if matches else ""
            table.add_row(query, f"{'yes' if result.accepted else 'no'}, {result.probability:.2f}", f"{found}{reason}")
        elif not matches:
            table.add_row(query, "the map is empty", *[""] * (len(columns) - 1))
        else:
            others = ", ".join(f"{match.similarity:.2f}" for match in matches[1:])
            table.add_row(query, best, f"{matches[0].similarity:.3f}", _xy(matches[0].place.pose), others)
    return table


def _folder(labels: Sequence[str]) -> str:
    """The folder that all labels are in, with its slash; empty without one."""
    shared = os.path.commonprefix(labels)  # noqa: RUF071 (cut at a slash)
    return shared[: shared.rfind("/") + 1]


class QuerySummary:
    """Collects the answers: of a set all, of a recording the first ones."""

    def __init__(self, source: FrameSource, place_map: OpenMap, top: int) -> None:
        self._source = source
        self._contradiction = zones_differ(source.notes, [one.notes or "" for one in place_map.traverses().values()])
        self._places = [] if source.is_recording else list(place_map.places().values())
        self._top = top
        self._answers: list[Answer] = []
        self._most_probable: tuple[float, str] = (-1.0, "")
        self._frames = self._accepted = 0
        self._metric: Counter[str] = Counter()

    def add(self, answer: Answer) -> None:
        if not self._source.is_recording or len(self._answers) < _SHOWN:
            self._answers.append(answer)
        result = answer.recognition
        if result is not None:
            self._accepted += result.accepted
            if result.accepted and (result.metric or result.metric_refusal):
                self._metric[result.metric_refusal] += 1
            candidate = (result.probability, f"{answer.frame.label}: {result.why}")
            self._most_probable = max(self._most_probable, candidate, key=lambda one: one[0])
        self._frames += 1

    def print_table(self) -> None:
        out.print(answers_table(self._answers))
        if self._frames > _SHOWN:
            out.print(f"and {self._frames - _SHOWN} more; --json gives all")

    def say_accepted(self, rate: float) -> None:
        """How many were accepted; if none was, why the most probable match was refused."""
        err.print(f"{self._accepted} of {self._frames} accepted at a false-positive rate of {rate:g}")
        if self._frames and not self._accepted:
            probability, why = self._most_probable
            err.print(f"the most probable match, {probability:.2f}, is {why}")

    def say_metric(self) -> None:
        """How many accepted matches have a metric pose, and the reasons where there is none."""
        if self._metric:
            reasons = "".join(f"; {count} without: {why}" for why, count in self._metric.most_common() if why)
            counted = f"{self._metric['']} of {self._accepted} accepted matches have a metric pose"
            err.print(f"{counted}{reasons}")

    def say_recall(self) -> None:
        """Recall of a set, if input and map tell where the images were taken; on standard error. Recordings are measured by ``vpr eval``."""
        if self._contradiction:
            err.print(f"no recall: {self._contradiction}", style="yellow")
            return
        if self._source.is_recording:
            return
        frames, places = [answer.frame for answer in self._answers], [_as_frame(place) for place in self._places]
        tolerance = guess_tolerance([*frames, *places])
        right = positives(frames, places, tolerance)
        if right is None or not places:
            return
        row_of = {place.id: row for row, place in enumerate(self._places)}
        ranked = np.array([[row_of[match.place.id] for match in answer.matches] for answer in self._answers])
        top = min(self._top, len(places))
        result = recall(ranked, right, sorted({k for k in (1, 5, 10, self._top) if k <= top}))
        if not result.queries:
            err.print("no query has a right place in the map, so there is no recall")
            return
        numbers = ", ".join(f"R@{k} {value:.3f}" for k, value in result.at.items())
        omitted = f" ({result.without} without a right place left out)" if result.without else ""
        err.print(f"{numbers} over {result.queries} queries, right {tolerance}{omitted}")


def _as_frame(place: Place) -> Frame:
    index = float(place.extra["index"]) if "index" in place.extra else None
    return Frame(place.label, pose=place.pose, sequence=place.traverse, index=index)


def _xy(pose: Pose | None) -> str:
    return f"{pose.x:.1f}, {pose.y:.1f}" if pose else ""
