"""Runs simulated from the map itself, without labels or real queries: what do right and wrong matches look like here?

*Absent*: a stretch of a traverse is asked while everything that it shows is left out of the map, as a robot elsewhere in the same
environment would. Left out is what lies within ``separation`` frames or ``_FAR`` meters, and all places before and after whose pictures still
overlap: 12 inliers and more. *Present*: the same stretch is asked while only the frame itself is left out.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

from vpr_aesvc.recognition.geometry.verification import MIN_INLIERS, verify
from vpr_aesvc.recognition.map_snapshot import MapSnapshot
from vpr_aesvc.recognition.matching import CandidateMatcher, RankedCandidates
from vpr_aesvc.recognition.sequence.bayes_filter import SequenceFilter
from vpr_aesvc.recognition.sequence.likelihood import SimilarityLikelihood
from vpr_aesvc.recognition.similarity.sampled import without
from vpr_aesvc.types import Rows

_MAX_FRAMES = 400  # of a kind: more change the result little
_LONGEST, _SHORTEST = 40, 6  # frames of a stretch
_STRETCHES = 4  # a map is cut into at least so many
_MIN_LEFT = 10  # places that must be left in the map
_FAR = 20.0  # meters: from here on two places show nothing of each other; in small maps half of the diagonal
_MAX_OVERLAP = 40  # frames
_MISSES = 2  # neighbors without support, after which the overlap ends


@dataclass(frozen=True)
class SimulatedAnswer:
    """The best candidate of a simulated frame. ``right``: the frame shows it; always False for absent frames. ``segment``: the stretch.
    ``alone``: probability of the places near it by this frame alone."""

    found: RankedCandidates
    is_absent: bool
    right: bool
    segment: int
    alone: float


def simulate_runs(
    snapshot: MapSnapshot,
    matcher: CandidateMatcher,
    likelihood: SimilarityLikelihood,
    step: Callable[[float], None] = lambda part: None,
) -> Iterator[SimulatedAnswer]:
    """Asks some hundred frames of the map in evenly spaced stretches. Deterministic. ``step`` is called with the part that is done, 0 to 1."""
    kept = snapshot.neighborhoods.kept
    stretches = _stretches(snapshot.neighborhoods.runs, len(kept))
    for done, (start, end) in enumerate(stretches):
        rows = kept[start:end]
        hidden = _shown(
            snapshot, matcher, start, end, partial(_report, step, done / len(stretches), 0.5 / len(stretches))
        )
        if len(snapshot) - len(hidden) >= _MIN_LEFT:
            yield from _ask(snapshot, matcher, likelihood, rows, hidden, segment=start)
        step((done + 0.75) / len(stretches))
        yield from _ask(snapshot, matcher, likelihood, rows, None, segment=start)
        step((done + 1) / len(stretches))


def _ask(
    snapshot: MapSnapshot,
    matcher: CandidateMatcher,
    likelihood: SimilarityLikelihood,
    rows: Rows,
    hidden: Rows | None,
    segment: int,
) -> Iterator[SimulatedAnswer]:
    """Recognizes places one after the other; the ``hidden`` rows are left out of the map, else each frame's own."""
    sequence = SequenceFilter(snapshot.track, likelihood=likelihood)
    single = SequenceFilter(snapshot.track, likelihood=likelihood)
    for row in rows.tolist():
        similarities = without(snapshot.similarities_of_place(row), np.array([row]) if hidden is None else hidden)
        stamp = float(snapshot.track.stamps[row])
        belief = sequence.step(similarities, stamp=stamp if np.isfinite(stamp) else None)
        single.reset()
        alone = single.step(similarities)
        found = matcher.match(matcher.features_of_place(row), similarities, belief)
        if found is not None:
            right = hidden is None and row in snapshot.track.near(found.rows[0], matcher.window)
            posterior = min(float(alone.at(found.near).sum()), 1.0)
            yield SimulatedAnswer(found, hidden is not None, right, segment, posterior)


def _stretches(runs: Rows, count: int) -> list[tuple[int, int]]:
    """(first, end) of stretches within a run, in kept frames."""
    length = int(np.clip(count // _STRETCHES, _SHORTEST, _LONGEST))
    edges = np.flatnonzero(np.diff(runs, prepend=-1, append=-1)).tolist()
    all_of_them = [
        (start, min(start + length, end)) for first, end in pairwise(edges) for start in range(first, end, length)
    ]
    wanted = max(1, _MAX_FRAMES * len(all_of_them) // max(count, 1))
    if wanted >= len(all_of_them):
        return all_of_them
    return [all_of_them[at] for at in np.linspace(0, len(all_of_them) - 1, wanted).astype(np.int64)]


def _shown(
    snapshot: MapSnapshot, matcher: CandidateMatcher, start: int, end: int, step: Callable[[float], None]
) -> Rows:
    """The rows that show something of the frames ``start`` to ``end`` of the kept ones."""
    kept, runs = snapshot.neighborhoods.kept, snapshot.neighborhoods.runs
    first, last = start - snapshot.neighborhoods.separation, end - 1 + snapshot.neighborhoods.separation
    for at in range(start, end):
        step((at - start) / (end - start))
        first = min(first, at - _overlap(matcher, kept, runs, at, -1))
        last = max(last, at + _overlap(matcher, kept, runs, at, 1))
    inside = np.arange(max(first, 0), min(last + 1, len(kept)))
    inside = kept[inside[runs[inside] == runs[start]]]
    rows = np.arange(inside[0], inside[-1] + 1)  # with the repeats of a robot that stood still
    if snapshot.positions is None:
        return rows
    size = float(np.linalg.norm(np.nanmax(snapshot.positions, axis=0) - np.nanmin(snapshot.positions, axis=0)))
    is_near = np.zeros(len(snapshot), np.bool_)
    for row in kept[start:end]:
        is_near |= np.linalg.norm(snapshot.positions - snapshot.positions[row], axis=1) < min(_FAR, size / 2)
    return np.union1d(rows, np.flatnonzero(is_near))


def _overlap(matcher: CandidateMatcher, kept: Rows, runs: Rows, at: int, direction: int) -> int:
    """How many frames further along the run the picture of a kept frame still overlaps."""
    if matcher.keypoints is None:
        return 0
    overlap = misses = 0
    for distance in range(1, _MAX_OVERLAP + 1):
        other = at + direction * distance
        if not 0 <= other < len(kept) or runs[other] != runs[at] or misses == _MISSES:
            break
        inliers = verify(matcher.keypoints[int(kept[at])], matcher.keypoints[int(kept[other])]).inliers
        misses = 0 if inliers >= MIN_INLIERS else misses + 1
        overlap = distance if inliers >= MIN_INLIERS else overlap
    return overlap


def _report(step: Callable[[float], None], before: float, share: float, part: float) -> None:
    step(before + share * part)
