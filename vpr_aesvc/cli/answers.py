"""What ``vpr query`` prints: the answers as JSON lines or as a table, how many were accepted, and recall if the truth is known."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table

from vpr_aesvc.cli.console import err, out
from vpr_aesvc.datasets.positives import guess_tolerance, positives
from vpr_aesvc.evaluation.metrics import recall
from vpr_aesvc.frame_source import FrameSource
from vpr_aesvc.geography import zones_differ
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.recognition.result import Recognition
from vpr_aesvc.transforms import distance
from vpr_aesvc.types import Frame, Match, Place, Pose

_SHOWN = 40  # rows of the table; --json gives all
_SEGMENTS = 20  # rows of the table of a long recording, at most; at least half as many
_NEAR = 25.0  # meters, the field's usual tolerance; in a map of less than 250 m a tenth of its extent, else every place were right


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
    """A row for each answer, at most 40; it fits 80 columns. Refused matches say why."""
    decided = any(answer.recognition is not None for answer in answers)
    columns = ("accepted", "why") if decided else ("x, y [m]", "next best")
    table = Table("query", "best match", "similarity", *columns)
    for frame, matches, result in answers[:_SHOWN]:
        if not matches:
            table.add_row(frame.label, "", "", *(("", "the map is empty") if result is None else ("no", result.why)))
            continue
        best = matches[0]
        if result is None:
            details = (_xy(best.place.pose), ", ".join(f"{match.similarity:.2f}" for match in matches[1:]))
        else:
            reason = result.why.partition(": ")[2] or result.why
            details = (f"{'yes' if result.accepted else 'no'}, {result.probability:.2f}", reason)
        table.add_row(frame.label, best.place.label, f"{best.similarity:.3f}", *details)
    return table


class _Row(NamedTuple):
    """What the table of a long recording needs of one frame; ``accepted``: label and position of the accepted match."""

    label: str
    stamp: float | None
    probability: float
    accepted: tuple[str, str] | None


class QuerySummary:
    """Collects the answers. Of a recording it keeps its first frames, and a few numbers and words for each frame."""

    def __init__(self, source: FrameSource, place_map: PlaceMap, top: int) -> None:
        self._source = source
        self._contradiction = zones_differ(source.notes, [one.notes or "" for one in place_map.traverses().values()])
        self._places = list(place_map.places().values())
        self._top = top
        self._answers: list[Answer] = []  # of a recording the first ones, of a set all
        self._rows: list[_Row] = []  # of a recording
        self._most_probable: tuple[float, str] = (-1.0, "")
        self._errors = _PositionErrors(self._places, top)
        self._frames = self._accepted = 0

    def add(self, answer: Answer) -> None:
        if not self._source.is_recording or len(self._answers) < _SHOWN:
            self._answers.append(answer)
        if self._source.is_recording:
            self._errors.add(answer)
        result = answer.recognition
        if result is not None:
            best = result.best.place if result.accepted and result.best else None
            accepted = (best.label, _xy(best.pose)) if best else None
            self._rows.append(_Row(answer.frame.label, answer.frame.stamp, result.probability, accepted))
            self._accepted += result.accepted
            candidate = (result.probability, f"{answer.frame.label}: {result.why}")
            self._most_probable = max(self._most_probable, candidate, key=lambda one: one[0])
        self._frames += 1

    def table(self) -> Table:
        """A row for each frame, or of a long recording a row for each segment."""
        if not self._source.is_recording or self._frames <= _SHOWN:
            return answers_table(self._answers)
        table = Table("frames", "accepted", "mean probability", "last accepted", "x, y [m]")
        table.columns[0].no_wrap = True
        length = 1  # frames of a segment: a power of two
        while length * _SEGMENTS < self._frames:
            length *= 2
        for at in range(0, self._frames, length):
            segment = self._rows[at : at + length]
            accepted = [row.accepted for row in segment if row.accepted]
            table.add_row(
                " to ".join(_time(row, self._rows[0].stamp) for row in (segment[0], segment[-1])),
                f"{len(accepted)} of {len(segment)}",
                f"{sum(row.probability for row in segment) / len(segment):.2f}",
                *(accepted[-1] if accepted else ("", "")),
            )
        return table

    def say_omitted_rows(self) -> None:
        if not self._source.is_recording and len(self._answers) > _SHOWN:
            out.print(f"and {len(self._answers) - _SHOWN} more; --json gives all")

    def say_accepted(self, rate: float) -> None:
        """How many were accepted; if none was, why the most probable match was refused."""
        err.print(f"{self._accepted} of {self._frames} accepted at a false-positive rate of {rate:g}")
        if self._frames and not self._accepted:
            probability, why = self._most_probable
            err.print(f"the most probable match, {probability:.2f}, is {why}", soft_wrap=True)

    def say_recall(self) -> None:
        """Recall and position errors, if input and map tell where the images were taken; on standard error."""
        if self._contradiction:
            err.print(f"no recall: {self._contradiction}", style="yellow", soft_wrap=True)
            return
        if self._source.is_recording:
            self._errors.say()
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
        _say_recall(result.at, result.queries, str(tolerance), result.without)


class _PositionErrors:
    """Compares the poses of a recording with those of the places."""

    def __init__(self, places: list[Place], top: int) -> None:
        poses = [place.pose for place in places if place.pose is not None]
        self._positions = np.array([(pose.x, pose.y, pose.z) for pose in poses]).reshape(-1, 3)
        extent = float(np.linalg.norm(np.ptp(self._positions[:, :2], axis=0))) if poses else 0.0
        self._near = round(min(_NEAR, max(1.0, extent / 10)), 1)
        self._top = top
        self._ranks: list[int] = []  # rank of the first right match, of frames that have a right place
        self._without = 0  # frames without a right place
        self._accepted_errors: list[float] = []  # meters

    def add(self, answer: Answer) -> None:
        pose = answer.frame.pose
        if pose is None or not len(self._positions):
            return
        if np.linalg.norm(self._positions - np.array([pose.x, pose.y, pose.z]), axis=1).min() > self._near:
            self._without += 1
        else:
            right = [
                match.place.pose is not None and distance(match.place.pose, pose) <= self._near
                for match in answer.matches
            ]
            self._ranks.append(right.index(True) if any(right) else self._top)
        result = answer.recognition
        if result is not None and result.accepted and result.pose is not None:
            self._accepted_errors.append(distance(result.pose, pose))

    def say(self) -> None:
        if not self._ranks and not self._without:
            return
        if not self._ranks:
            err.print(
                f"no query has a right place in the map within {self._near:g} m, so there is no recall; "
                "are the poses of the recording in the map's frame?"
            )
            return
        ranks = np.array(self._ranks)
        at = {k: float(np.mean(ranks < k)) for k in sorted({1, 5, 10, self._top}) if k <= self._top}
        _say_recall(at, len(ranks), f"within {self._near:g} m", self._without)
        if self._accepted_errors:
            median, high, largest = np.quantile(self._accepted_errors, [0.5, 0.95, 1.0])
            err.print(
                f"distance of accepted matches from the frame: {median:.2f} m (median), {high:.2f} m (95 %), {largest:.2f} m (maximum)",
                soft_wrap=True,
            )


def _say_recall(at: dict[int, float], queries: int, tolerance: str, without: int) -> None:
    numbers = ", ".join(f"R@{k} {value:.3f}" for k, value in at.items())
    omitted = f" ({without} without a right place left out)" if without else ""
    err.print(f"{numbers} over {queries} queries, right {tolerance}{omitted}")


def _as_frame(place: Place) -> Frame:
    index = place.extra.get("index")
    return Frame(
        label=place.label, pose=place.pose, sequence=place.traverse, index=None if index is None else float(index)
    )


def _xy(pose: Pose | None) -> str:
    return f"{pose.x:.1f}, {pose.y:.1f}" if pose else ""


def _time(row: _Row, start: float | None) -> str:
    return row.label if row.stamp is None or start is None else f"{row.stamp - start:.1f} s"
