"""Frame -> match: the stages of recognition joined, a line a stage."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.images import as_rgb, read_image, thumbnail
from vpr_aesvc.recognition.decision import DecisionInputs, decide
from vpr_aesvc.recognition.geometry.stored_keypoints import StoredKeypoints
from vpr_aesvc.recognition.learned_models import LearnedModels
from vpr_aesvc.recognition.map_snapshot import MapSnapshot, most_similar
from vpr_aesvc.recognition.pose_covariance import match_covariance
from vpr_aesvc.recognition.result import Candidate, Recognition
from vpr_aesvc.recognition.sequence.bayes_filter import Belief, SequenceFilter
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.types import Frame, Match

if TYPE_CHECKING:
    from vpr_aesvc.describer import Describer
    from vpr_aesvc.placemap import PlaceMap
    from vpr_aesvc.recognition.geometry.verification import Geometry
    from vpr_aesvc.recognition.sequence.motion_model import Odometry
    from vpr_aesvc.recognition.similarity.neighborhoods import SimilarityMargin
    from vpr_aesvc.types import Intrinsics

_LIKELY = 0.5  # the sequence's place is right more often than not: then the frame alone does not overrule it
Descriptor = NDArray[np.float32]
Image = NDArray[np.uint8]


class Recognizer:
    """Recognizes the places of a map, in the order in which a camera passes them. One for each camera; not for several threads.

    The map may grow, lose places or be given other poses meanwhile, also by another process. What was learned from it is kept with it and
    learned again when it has grown by a quarter, which takes seconds on a large map: :meth:`prepare` does it beforehand.

    Args:
        place_map: an open map.
        describer: of the model that made it.
        intrinsics: of the camera, where all frames have the same; see :meth:`recognize`.
        learn_in_background: no frame waits for a map that has grown: what was learned before serves on while a thread learns again. When that
            ends depends on the machine, so that two runs may differ in a few answers; without it they never do.

    Raises:
        VprError: the model is not the map's, or the map has no descriptors of that size.
    """

    def __init__(
        self,
        place_map: PlaceMap,
        describer: Describer,
        settings: RecognizerSettings | None = None,
        intrinsics: Intrinsics | None = None,
        learn_in_background: bool = False,
    ) -> None:
        place_map.require(describer)
        self.map = place_map
        self.describer = describer
        self.settings = settings or RecognizerSettings()
        size = place_map.check_size(self.settings.size)
        self.snapshot = MapSnapshot(place_map, size)
        self.learned = LearnedModels(place_map, size)
        self.filter = SequenceFilter(self.snapshot.track)
        self._keypoints = StoredKeypoints(place_map) if self.settings.geometry else None
        self._intrinsics = intrinsics
        self._learn_in_background = learn_in_background
        self._has_revisited = False  # whether a place of this map was recognized

    def prepare(self) -> None:
        """Reads the map, and learns from it what is missing or stale, so that the next frame need not wait.

        Raises:
            VprError: the map is damaged.
        """
        self._keep_up(background=False)

    def _keep_up(self, background: bool) -> None:
        change = self.snapshot.keep_up()
        if change != "none":
            if self._keypoints is not None:
                self._keypoints.ids = self.snapshot.ids
            self.filter.track = self.snapshot.track
            if change == "other" and len(self.snapshot):
                self.filter.reset("places were removed from the map, so the sequence begins anew")
        if self.learned.keep_up(self.snapshot, self._keypoints is not None, self._has_revisited, background):
            self.filter.likelihood = self.learned.likelihood

    def reset(self, reason: str | None = None) -> None:
        """Forgets where the robot was, as when another run begins; ``reason`` is the message of the next recognition."""
        self.filter.reset(reason)

    def recognize(
        self,
        frame: Frame,
        odometry: Odometry | None = None,
        descriptor: Descriptor | None = None,
        intrinsics: Intrinsics | None = None,
    ) -> Recognition:
        """Where a frame was taken.

        Args:
            frame: with an image or a path. Its stamp orders the sequence, and it and the pose say which places are recent.
            odometry: of the robot since the frame before.
            descriptor: float32 [d_max], unit norm, of the frame where it is known; an image is then needed for geometry alone.
            intrinsics: of the camera, in pixels of the frame's image. The candidates' ``geometry`` then says how the camera stood to theirs, which
                is taken to have had the same lens. Whether a match is accepted never depends on them.

        Raises:
            VprError: the image cannot be read, a number is not finite, or the map is damaged. The sequence is as it was.
        """
        image = self.image_of(frame) if descriptor is None or self._keypoints is not None else None
        descriptor = self.describer.describe(image) if descriptor is None and image is not None else descriptor
        assert descriptor is not None
        self._keep_up(self._learn_in_background)
        similarities = self.snapshot.similarities(descriptor, self.settings.where(frame))
        belief = self._follow(similarities, frame, odometry)
        return self.judge(image, similarities, belief, intrinsics)

    def judge(
        self,
        image: Image | None,
        similarities: NDArray[np.float32],
        belief: Belief,
        intrinsics: Intrinsics | None = None,
    ) -> Recognition:
        """The stages after the sequence; :mod:`offline` follows it in its own way.

        Args:
            image: of the frame, RGB uint8 [H, W, 3]; for geometry.
            similarities: float32 [n], to all places of the map as it was last looked at. belief: what the frames say together.
        """
        margin = self.snapshot.neighborhoods.margin(similarities)
        belief = self._pictured(belief)
        rows = self._propose(similarities, margin, belief)
        geometries = self._verify(image, rows, self._intrinsics if intrinsics is None else intrinsics)
        return self._decide(similarities, margin, belief, rows, geometries)

    def image_of(self, frame: Frame) -> Image:
        """Its image, RGB uint8 [H, W, 3], read where it has only a path."""
        if frame.image is not None:
            return as_rgb(frame.image)
        if frame.path is None:
            raise VprError(f"{frame.label}: a frame needs an image or a path to be recognized")
        return read_image(frame.path)

    def _follow(self, similarities: NDArray[np.float32], frame: Frame, odometry: Odometry | None) -> Belief:
        """What the frames up to this one say; this one alone, where no sequence is wanted."""
        if not self.settings.sequence:
            self.filter.reset()
        return self.filter.step(similarities, frame.stamp, odometry)

    def _pictured(self, belief: Belief) -> Belief:
        """The filter answers a flat belief by its middle; but a picture to compare with must show what the frame shows."""
        if self._keypoints is None or belief.row is None:
            return belief
        near = self.snapshot.near(belief.row, self.filter.settings.window)
        return replace(belief, row=int(np.where(near, belief.places, -1).argmax()))

    def _propose(self, similarities: NDArray[np.float32], margin: SimilarityMargin, belief: Belief) -> list[int]:
        """Rows of the candidates: the sequence's favorite where it is likely, the frame's own, and the most similar places."""
        visible = similarities > -np.inf
        similar = most_similar(similarities, self.settings.candidates)
        favorites = [margin.row]
        if self.settings.sequence and belief.row is not None:
            favorites.insert(0 if belief.probability >= _LIKELY else 1, belief.row)
        proposed = dict.fromkeys([*favorites, *similar.tolist()])
        return [row for row in proposed if row >= 0 and visible[row]][: self.settings.candidates]

    def _verify(self, image: Image | None, rows: list[int], intrinsics: Intrinsics | None) -> list[Geometry]:
        if self._keypoints is None or image is None:
            return []
        from vpr_aesvc.recognition.geometry.local_features import detect_keypoints
        from vpr_aesvc.recognition.geometry.verification import verify

        small = thumbnail(image)  # as the stored pictures, on which the worth of inliers was learned
        here = detect_keypoints(small)
        if intrinsics is not None:
            intrinsics = intrinsics.resized(image.shape, small.shape)
        return [verify(here, self._keypoints[row], intrinsics) for row in rows]

    def _order(self, rows: list[int], belief: Belief, geometries: list[Geometry]) -> list[int]:
        """Candidates best first: by geometry, but a likely place of the sequence that the key points support is not given up for another."""
        if not geometries:
            return list(range(len(rows)))
        from vpr_aesvc.recognition.geometry.reranking import judge, rerank

        order = list(rerank(geometries).order)
        likely = self.settings.sequence and belief.row == rows[0] and belief.probability >= _LIKELY
        if likely and judge(geometries[0]) == "supported":
            near = self.snapshot.near(rows[0], self.filter.settings.window)
            order.sort(key=lambda at: not near[rows[at]])  # stable: geometry orders what is near, and the rest
        return order

    def _decide(
        self,
        similarities: NDArray[np.float32],
        margin: SimilarityMargin,
        belief: Belief,
        rows: list[int],
        geometries: list[Geometry],
    ) -> Recognition:
        known = self.snapshot
        message = self.learned.message if belief.message is None else belief.message
        self.learned.message = None
        if not rows:
            why = "no place may be returned for this frame" if len(known) else "the map is empty"
            return Recognition(False, why, lost=belief.lost, message=message)
        order = self._order(rows, belief, geometries)
        best = rows[order[0]]
        near = known.near(best, self.filter.settings.window)
        inputs = DecisionInputs(
            self.learned.null,
            self.learned.inlier_model,
            margin if margin.row >= 0 and near[margin.row] else None,
            belief if self.settings.sequence else None,
            belief.row is not None and bool(near[belief.row]),
            min(float(belief.places[near].sum()), 1.0),
            geometries[order[0]] if geometries else None,
        )
        decision = decide(inputs)
        accepted = decision.false_positive_rate <= self.settings.false_positive_rate
        why = f"{'accepted' if accepted else 'not accepted'}: {decision.why}"
        if not accepted:
            rate, asked = decision.false_positive_rate, self.settings.false_positive_rate
            short = f"cannot promise less than {rate:.2g}" if decision.least else f"is {rate:.2g}"
            why = f"not accepted, as the false-positive rate {short}, above {asked:g}: {decision.why}"
        self._has_revisited |= accepted
        places = self.map.places(int(known.ids[row]) for row in rows)
        candidates = tuple(
            Candidate(
                Match(places[int(known.ids[rows[at]])], float(similarities[rows[at]])),
                float(belief.places[rows[at]]),
                geometries[at] if geometries else None,
            )
            for at in order
        )
        return Recognition(
            accepted,
            why,
            candidates[0].match,
            candidates,
            decision.probability,
            decision.false_positive_rate,
            geometries[order[0]].inliers if geometries else None,
            candidates[0].match.place.pose,
            match_covariance(known.poses, known.steps, best, near, belief.places, decision.probability),
            belief.lost,
            message,
        )
