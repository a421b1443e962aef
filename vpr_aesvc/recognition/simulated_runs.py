"""Runs simulated from the map itself, without labels or real queries: what do right and wrong matches look like here?

*Absent*: a stretch of a traverse is asked while everything that it shows is left out of the map, as a robot elsewhere in the same
environment would. Left out is what lies within ``separation`` frames or ``_FAR`` meters, and all places before and after whose pictures still
overlap: 12 inliers and more. What fits one of these with 75 inliers or more shows the same place, too: a clip that was mapped twice, or another
lap. *Present*: the same stretch is asked while only the frame itself is left out, with its repeats.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from vpr_aesvc.recognition.geometry.verification import MIN_INLIERS, verify
from vpr_aesvc.recognition.map_snapshot import MapSnapshot
from vpr_aesvc.recognition.matching import CandidateMatcher
from vpr_aesvc.recognition.sequence.bayes_filter import SequenceFilter
from vpr_aesvc.recognition.sequence.likelihood import SimilarityLikelihood
from vpr_aesvc.recognition.similarity.sampled import most_similar, without
from vpr_aesvc.types import Rows

_MAX_FRAMES = 400  # of a kind: more change the result little
_LONGEST, _SHORTEST = 40, 6  # frames of a stretch
_STRETCHES = 4  # a map is cut into at least so many
_MIN_LEFT = 10  # places that must be left in the map
_FAR = 20.0  # meters: from here on two places show nothing of each other; in small maps half of the diagonal
_SAME_PLACE_INLIERS = 75
_MAX_REVISITS = 4  # of a place: laps, or clips that were mapped twice
_MAX_OVERLAP = 40  # frames
_MISSES = 2  # neighbors without support, after which the overlap ends


class SimulatedAnswer(NamedTuple):
    """The best candidate of a simulated frame.

    Attributes:
        inliers: of the candidate, that no candidate of another scene shares (``distinctive_inliers``).
        posterior: the probability of the places near it by the sequence. alone: the same by this frame alone.
        is_absent: the frame's place was left out. right: the frame shows the candidate; False for absent frames.
        segment: the stretch that the frame is of.
        candidates: inliers and patch score of each, and whether the frame shows it; empty without patches.
    """

    inliers: int
    posterior: float
    alone: float
    is_absent: bool
    right: bool
    segment: int
    candidates: tuple[tuple[int, float, bool], ...] = ()


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
    """Recognizes places one after the other; the ``hidden`` rows are left out of the map, else each frame's own with its repeats."""
    kept = np.append(snapshot.neighborhoods.kept, len(snapshot))
    sequence = SequenceFilter(snapshot.track, likelihood=likelihood)
    single = SequenceFilter(snapshot.track, likelihood=likelihood)
    for row in rows.tolist():
        own = np.arange(row, kept[np.searchsorted(kept, row) + 1])  # with the repeats of a robot that stood still
        similarities = without(snapshot.similarities_of_place(row), own if hidden is None else hidden)
        stamp = float(snapshot.track.stamps[row])
        belief = sequence.step(similarities, stamp=stamp if np.isfinite(stamp) else None)
        single.reset()
        alone = single.step(similarities)
        found = matcher.match(matcher.features_of_place(row), matcher.propose(similarities, belief))
        if found is not None:
            shown = snapshot.track.near(row, matcher.window)
            compared = zip(found.rows, found.geometries, found.patches, strict=False)
            yield SimulatedAnswer(
                inliers=found.distinctive_inliers,
                posterior=found.posterior,
                alone=min(float(alone.at(found.near).sum()), 1.0),
                is_absent=hidden is not None,
                right=hidden is None and found.rows[0] in shown,
                segment=segment,
                candidates=tuple((one.inliers, two.score, at in shown) for at, one, two in compared if two is not None),
            )


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
        return _with_revisits(snapshot, matcher, rows)
    size = float(np.linalg.norm(np.nanmax(snapshot.positions, axis=0) - np.nanmin(snapshot.positions, axis=0)))
    is_near = np.zeros(len(snapshot), np.bool_)
    for row in kept[start:end]:
        is_near |= np.linalg.norm(snapshot.positions - snapshot.positions[row], axis=1) < min(_FAR, size / 2)
    return np.union1d(rows, np.flatnonzero(is_near))


def _with_revisits(snapshot: MapSnapshot, matcher: CandidateMatcher, rows: Rows) -> Rows:
    """With the places around those that show the same as one of the rows."""
    if matcher.keypoints is None:
        return rows
    hidden = rows
    for row in np.intersect1d(rows, snapshot.neighborhoods.kept).tolist():
        for _ in range(_MAX_REVISITS):
            (other,) = most_similar(without(snapshot.similarities_of_place(row), hidden), 1).tolist()
            if (
                other in hidden
                or verify(matcher.keypoints[row], matcher.keypoints[other]).inliers < _SAME_PLACE_INLIERS
            ):
                break
            hidden = np.union1d(hidden, snapshot.track.near(other, snapshot.neighborhoods.separation))
    return hidden


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
