"""The stages between the sequence and the decision: candidates are proposed, ranked by patches, verified by key points and ordered."""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from vpr_aesvc.projections.artifact import Array
from vpr_aesvc.recognition.geometry.local_features import Keypoints, StoredKeypoints
from vpr_aesvc.recognition.geometry.verification import Geometry, distinctive_inliers, geometric_verdict, rerank, verify
from vpr_aesvc.recognition.map_snapshot import MapSnapshot
from vpr_aesvc.recognition.patches.matching import PatchMatch
from vpr_aesvc.recognition.patches.stored import StoredPatches
from vpr_aesvc.recognition.sequence.bayes_filter import Belief
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.recognition.similarity.neighborhoods import SimilarityMargin
from vpr_aesvc.recognition.similarity.runs import SEPARATION
from vpr_aesvc.recognition.similarity.sampled import Similarities, most_similar, similarities_at
from vpr_aesvc.types import Intrinsics, Rows

_RANKED_BY_PATCHES = 10  # candidates
_REPEATS = 10  # equal views of one place, where the robot stood still, that are passed over
_CLEAR_INLIERS = 75  # of 1,518 frames of floors outside the map none had more than 59 with any place of it
_BELIEF_WEIGHT = (
    0.1  # of the logarithm of a place's belief beside its similarity; chosen on laps of the corridor with odometry
)
_LIKELY = 0.5  # probability above which the sequence's place is preferred to the frame's


@dataclass(frozen=True, eq=False)
class FrameFeatures:
    """What the stages need of an image. ``keypoints``: None without geometry. ``patches``: float32 [h * w, s], projected as the map's; or None.
    ``intrinsics``: in pixels of the image of the key points, if there are any; None if unknown."""

    keypoints: Keypoints | None = None
    patches: Array | None = None
    intrinsics: Intrinsics | None = None


class Proposal(NamedTuple):
    """Candidates before their images are compared. ``rows``: the first ones first; none if every place is excluded. ``margin``: of the frame."""

    rows: list[int]
    margin: SimilarityMargin
    belief: Belief


@dataclass(frozen=True, eq=False)
class RankedCandidates:
    """The candidates of a frame, best first.

    Attributes:
        rows: at least one. patches: of these rows. geometries: of the first rows; empty without key points. After a candidate with 75
            inliers no other is verified. The first one is complete; see ``Geometry.is_skipped``.
        margin: of the frame; None if its best place is not near the best candidate.
        belief: of the sequence.
        distinctive_inliers: of the best candidate; see ``verification.distinctive_inliers``.
        frames_since_verified: if they are those of an earlier frame of a sure sequence; else 0.
        near: the rows that count as the same place as the best candidate.
    """

    rows: list[int]
    geometries: list[Geometry]
    patches: list[PatchMatch | None]
    margin: SimilarityMargin | None
    belief: Belief
    near: Rows
    distinctive_inliers: int = 0
    frames_since_verified: int = 0

    @property
    def posterior(self) -> float:
        """The probability that the sequence gives to the places near the best candidate."""
        return min(float(self.belief.at(self.near).sum()), 1.0)


class CandidateMatcher:
    """Compares a frame with places of a map. Not thread-safe.

    Attributes:
        ranking: weights of ``log(1 + inliers)`` and of the patch score by which candidates are ordered; None orders them by inliers alone.

    Args:
        keypoints, patches: of the places; None leaves the stage out. Patches are used beside key points only: alone they rank worse than
            similarities in some maps (docs/patches.md).
        window: places along the traverse on either side that count as the same answer.
    """

    def __init__(
        self,
        snapshot: MapSnapshot,
        settings: RecognizerSettings,
        keypoints: StoredKeypoints | None,
        patches: StoredPatches | None,
        window: int,
    ) -> None:
        self.keypoints, self.patches = keypoints, patches
        self.ranking: tuple[float, float] | None = None
        self._snapshot, self._settings, self.window = snapshot, settings, window

    def features_of_place(self, row: int) -> FrameFeatures:
        """A place of the map as a frame."""
        return FrameFeatures(
            None if self.keypoints is None else self.keypoints[row], None if self.patches is None else self.patches[row]
        )

    def propose(self, similarities: Similarities, belief: Belief) -> Proposal:
        """
        Args:
            similarities: float32 [n], to all places of the snapshot, or to some; minus infinity excludes a place.
        """
        margin = self._snapshot.neighborhoods.margin(similarities)
        belief = self._with_most_probable_row(belief)
        return Proposal(self._propose(similarities, margin, belief), margin, belief)

    def match(self, features: FrameFeatures, proposal: Proposal) -> RankedCandidates | None:
        """None if every place is excluded."""
        proposed, margin, belief = proposal
        rows, patches = self._rank_by_patches(features, proposed, belief)
        if not rows:
            return None
        geometries = [] if features.keypoints is None else self._verify(features.keypoints, features.intrinsics, rows)
        compared = rows[: len(geometries)] if geometries else rows
        order = self._order(compared, belief, geometries, [patches.get(row) for row in compared])
        order += range(len(compared), len(rows))
        rows = [rows[at] for at in order]
        near = self._snapshot.track.near(rows[0], self.window)
        geometries = [geometries[at] for at in order[: len(geometries)]]
        distinctive = 0
        if geometries and features.keypoints is not None:
            scene = self._snapshot.track.near(rows[0], SEPARATION)  # along a corridor every picture shows what is ahead
            elsewhere = [one for row, one in zip(rows, geometries, strict=False) if row not in scene]
            distinctive = distinctive_inliers(features.keypoints, geometries[0], elsewhere)
        return RankedCandidates(
            rows=rows,
            geometries=geometries,
            patches=[patches.get(row) for row in rows],
            margin=margin if margin.row in near else None,
            belief=belief,
            near=near,
            distinctive_inliers=distinctive,
        )

    def _verify(self, keypoints: Keypoints, intrinsics: Intrinsics | None, rows: list[int]) -> list[Geometry]:
        """Of the candidates in order, until one is clear. Models are not fitted to those that ``_order`` would not put first: another candidate has
        at least as many inliers, and is near the first one, or this one is not. Where patches count, too, all are fitted."""
        geometries: list[Geometry] = []
        if self.keypoints is None:
            return geometries
        near, most = self._snapshot.track.near(rows[0], self.window), [0, 0]
        for row in rows:
            is_near = row in near
            more_than = most[is_near] if self.patches is None else 0
            geometries.append(verify(keypoints, self.keypoints[row], intrinsics, more_than))
            inliers = geometries[-1].inliers
            if inliers >= _CLEAR_INLIERS:
                break
            most = [max(most[0], inliers), max(most[1], inliers) if is_near else most[1]]
        return geometries

    def match_tracked(self, similarities: Similarities, belief: Belief) -> RankedCandidates | None:
        """Without key points: the best place near that of the sequence, by similarity and belief. None if the frame's own best place is elsewhere."""
        margin = self._snapshot.neighborhoods.margin(similarities)
        if belief.row is None:
            return None
        near = self._snapshot.track.near(belief.row, self.window)
        scores = similarities_at(similarities, near) + _BELIEF_WEIGHT * np.log(np.maximum(belief.at(near), 1e-9))
        best = int(near[scores.argmax()])
        near = self._snapshot.track.near(best, self.window)
        others = [row for row in self._propose(similarities, margin, belief) if row != best]
        rows = [best, *others][: self._settings.candidates]
        return RankedCandidates(rows, [], [None] * len(rows), margin, belief, near) if margin.row in near else None

    def _with_most_probable_row(self, belief: Belief) -> Belief:
        """For geometry the best place of the sequence is the most probable place of its window, not the middle of a flat belief: its
        picture must show what the frame shows."""
        if self.keypoints is None or belief.row is None:
            return belief
        near = self._snapshot.track.near(belief.row, self.window)
        return replace(belief, row=int(near[belief.at(near).argmax()]))

    def _propose(self, similarities: Similarities, margin: SimilarityMargin, belief: Belief) -> list[int]:
        """Rows of the candidates: the best place of the sequence (first if it is likely), that of the margin, and the most similar places."""
        first = [margin.row]
        if self._settings.sequence and belief.row is not None:
            first.insert(0 if belief.probability >= _LIKELY else 1, belief.row)
        count = (
            self._settings.candidates if self.patches is None else max(self._settings.candidates, _RANKED_BY_PATCHES)
        )
        proposed = dict.fromkeys([*first, *most_similar(similarities, _REPEATS * count).tolist()])
        rows = np.array([row for row in proposed if row >= 0], np.int64)
        rows = rows[similarities_at(similarities, rows) > -np.inf]
        kept = self._snapshot.neighborhoods.kept
        place = np.searchsorted(kept, rows, side="right")  # repeats follow the row that is kept
        return rows[np.sort(np.unique(place, return_index=True)[1])].tolist()[:count]

    def _rank_by_patches(
        self, features: FrameFeatures, rows: list[int], belief: Belief
    ) -> tuple[list[int], dict[int, PatchMatch | None]]:
        """The best candidates by patches, and the matches by row. Places without patches, and a likely place of the sequence, keep their rank."""
        if self.patches is None or features.patches is None:
            return rows[: self._settings.candidates], {}
        matches = {row: self.patches.match(features.patches, row) for row in rows}
        scores = {row: match.score for row, match in matches.items() if match is not None}
        if self._settings.sequence and belief.row is not None and belief.probability >= _LIKELY:
            scores.pop(belief.row, None)
        ranked = iter(sorted(scores, key=lambda row: -scores[row]))
        rows = [next(ranked) if row in scores else row for row in rows]
        return rows[: self._settings.candidates], matches

    def _order(
        self, rows: list[int], belief: Belief, geometries: list[Geometry], patches: list[PatchMatch | None]
    ) -> list[int]:
        """Positions of the candidates, best first: by geometry and patches. If the sequence's place is likely and has geometric support, the places
        near it come before all others, but not before a clear one: in a map of a dozen places a flat belief makes some place likely."""
        if not geometries:
            return list(range(len(rows)))
        order = rerank(geometries)
        if self.ranking is not None and all(patches):
            by_inliers, by_patches = self.ranking
            scores = [
                by_inliers * math.log1p(one.inliers) + by_patches * (two.score if two else 0.0)
                for one, two in zip(geometries, patches, strict=True)
            ]
            order = sorted(range(len(rows)), key=lambda at: -scores[at])
        likely = self._settings.sequence and belief.row == rows[0] and belief.probability >= _LIKELY
        near = self._snapshot.track.near(rows[0], self.window)
        clear = geometries[order[0]].inliers >= _CLEAR_INLIERS and rows[order[0]] not in near
        if likely and not clear and geometric_verdict(geometries[0]) == "supported":
            order.sort(key=lambda at: rows[at] not in near)  # stable: the order by geometry stays within both groups
        return order
