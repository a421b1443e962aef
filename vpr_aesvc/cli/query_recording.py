"""``vpr query`` of a recording: answers are said as they come, so that a run of hours needs no more memory than one of seconds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.markup import escape
from rich.table import Table

from vpr_aesvc.cli.answers import SHOWN, answer_line, answers_table
from vpr_aesvc.cli.console import err, out, progress_bars
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.recognition.recognizer import Recognizer
from vpr_aesvc.recognition.result import Recognition
from vpr_aesvc.recordings.recording import Recording
from vpr_aesvc.replay.recognize import recognized
from vpr_aesvc.transforms import distance
from vpr_aesvc.types import Frame, Match

_PARTS = 20  # a run of more than SHOWN frames is shown in so many parts at most, half as many at least
_NEAR = 25.0  # meters: the field's usual tolerance; in a map of less than 250 m a tenth of what it covers: else all of it would be right


def query_recording(recording: Recording, recognizer: Recognizer, rate: float | None, as_json: bool) -> None:
    """Prints what each frame shows of the map, as JSON lines while it runs or as a table at its end."""
    told = _Summary(recognizer.map, recognizer.settings.candidates)
    with progress_bars() as progress:
        show: Callable[[int, int], None] = lambda done, of: progress("recognizing", done, of)  # noqa: E731
        for frame, found in recognized(recording, recognizer, rate, show):
            if as_json:
                typer.echo(json.dumps(recognition_line(frame, found)))
            told.add(replace(frame, image=None), found)
    if not as_json:
        out.print(told.table())
    say_recording(recording)
    err.print(
        f"{told.accepted} of {told.frames} accepted at a false-positive rate of {recognizer.settings.false_positive_rate:g}"
    )
    told.say_why_none()
    told.say_distances()


def recognition_line(frame: Frame, found: Recognition) -> dict[str, Any]:
    """One frame as JSON: what ``vpr query`` says of an image, and what only a run has."""
    matches = [candidate.match for candidate in found.candidates]
    return answer_line(frame, matches, found) | {
        "stamp": frame.stamp,
        "lost": round(found.lost, 6),
        "inliers": found.inliers,
        "message": found.message,
        "pose": None if found.pose is None else found.pose.as_tuple(),
        "covariance": None if found.covariance is None else found.covariance.ravel().tolist(),
    }


def say_recording(recording: Recording) -> None:
    """What was found in a recording, and what was left out of it; on standard error."""
    for note in recording.notes:
        err.print(note, markup=False, soft_wrap=True)
    for line in recording.skip_counts.lines():
        err.print(f"left out: {line}", markup=False, style="yellow", soft_wrap=True)


@dataclass
class _Part:
    """Some seconds of a run. ``best`` is the last accepted match."""

    first: Frame
    last: Frame
    frames: int = 0
    probability: float = 0.0  # the sum
    accepted: int = 0
    best: Match | None = None

    def __add__(self, later: _Part) -> _Part:
        sums = self.frames + later.frames, self.probability + later.probability, self.accepted + later.accepted
        return _Part(self.first, later.last, *sums, later.best or self.best)


class _Summary:
    """What is kept of a run: its first frames, its parts, and a few numbers for each frame."""

    def __init__(self, place_map: PlaceMap, top: int) -> None:
        poses = [place.pose for place in place_map.places().values() if place.pose is not None]
        self._places = np.array([(pose.x, pose.y, pose.z) for pose in poses]).reshape(-1, 3)
        extent = float(np.linalg.norm(np.ptp(self._places[:, :2], axis=0))) if poses else 0.0
        self._near = round(min(_NEAR, max(1.0, extent / 10)), 1)
        self._length = 1  # frames of a part; twice as many whenever there are too many parts
        self._top = top
        self._first: list[tuple[Frame, list[Match], Recognition | None]] = []
        self._parts: list[_Part] = []
        self._hits: list[int] = []  # how many matches down the first right one is; of frames that have a right place
        self._without = 0
        self._away: list[float] = []  # meters, of accepted matches
        self._likeliest: tuple[float, str] = (-1.0, "")  # probability of a match, and what was thought of it
        self.frames = self.accepted = 0

    def add(self, frame: Frame, found: Recognition) -> None:
        matches = [candidate.match for candidate in found.candidates]
        if len(self._first) < SHOWN:
            self._first.append((frame, matches, found))
        one = _Part(frame, frame, 1, found.probability, int(found.accepted), found.best if found.accepted else None)
        if self.frames % self._length:
            self._parts[-1] += one
        elif len(self._parts) == _PARTS:
            self._length *= 2
            self._parts = [
                *(first + second for first, second in zip(self._parts[::2], self._parts[1::2], strict=True)),
                one,
            ]
        else:
            self._parts.append(one)
        self._likeliest = max(
            self._likeliest, (found.probability, f"{frame.label}: {found.why}"), key=lambda one: one[0]
        )
        self.frames += 1
        self.accepted += found.accepted
        self._measure(frame, matches, found)

    def _measure(self, frame: Frame, matches: Iterable[Match], found: Recognition) -> None:
        pose = frame.pose
        if pose is None or not len(self._places):
            return
        here: NDArray[np.float64] = np.array([pose.x, pose.y, pose.z])
        if np.linalg.norm(self._places - here, axis=1).min() > self._near:
            self._without += 1
        else:
            right = [one.place.pose is not None and distance(one.place.pose, pose) <= self._near for one in matches]
            self._hits.append(right.index(True) if any(right) else self._top)
        if found.accepted and found.pose is not None:
            self._away.append(distance(found.pose, pose))

    def table(self) -> Table:
        """Frame by frame, or of a long run one row for each part."""
        if self.frames <= SHOWN:
            return answers_table(self._first)
        table = Table("frames", "accepted", "mean probability", "last accepted", "x, y \\[m]")
        table.columns[0].no_wrap = table.columns[3].no_wrap = True
        start = self._parts[0].first.stamp
        for part in self._parts:
            pose = part.best.place.pose if part.best else None
            table.add_row(
                f"{_since(part.first, start)} to {_since(part.last, start)}",
                f"{part.accepted} of {part.frames}",
                f"{part.probability / part.frames:.2f}",
                escape(part.best.place.label) if part.best else "",
                f"{pose.x:.1f}, {pose.y:.1f}" if pose else "",
            )
        return table

    def say_why_none(self) -> None:
        """Where nothing was accepted, what stood against the likeliest match."""
        if self.frames and not self.accepted:
            probability, why = self._likeliest
            err.print(f"the likeliest, {probability:.2f}, was {why}", markup=False, soft_wrap=True)

    def say_distances(self) -> None:
        """Where the recording and the map both say where they are."""
        if not self._hits and not self._without:
            return
        if not self._hits:
            err.print(
                f"no query has a right place in the map within {self._near:g} m, so recall cannot be given; "
                "are the poses of the recording in the map's frame?"
            )
            return
        hits = np.array(self._hits)
        numbers = ", ".join(f"R@{k} {np.mean(hits < k):.3f}" for k in sorted({1, 5, 10, self._top}) if k <= self._top)
        without = f" ({self._without} without a right place left out)" if self._without else ""
        err.print(f"{numbers} over {len(hits)} queries, right within {self._near:g} m{without}")
        if self._away:
            middle, most, largest = np.quantile(self._away, [0.5, 0.95, 1.0])
            err.print(
                f"accepted matches lie {middle:.2f} m (median), {most:.2f} m (95 %) and {largest:.2f} m (at most) from the frame",
                soft_wrap=True,
            )


def _since(frame: Frame, start: float | None) -> str:
    return frame.label if frame.stamp is None or start is None else f"{frame.stamp - start:.1f} s"
