"""Frame -> match: all stages of recognition, in order."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError, expect
from vpr_aesvc.images import image_of, thumbnail
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.recognition.decision import Decision, DecisionInputs, decide
from vpr_aesvc.recognition.geometry.local_features import StoredKeypoints, detect_keypoints
from vpr_aesvc.recognition.geometry.verification import Geometry, geometric_verdict, rerank, verify
from vpr_aesvc.recognition.learned_models import LearnedModels
from vpr_aesvc.recognition.map_snapshot import MapSnapshot
from vpr_aesvc.recognition.pose_covariance import match_covariance
from vpr_aesvc.recognition.result import Candidate, Recognition
from vpr_aesvc.recognition.row_sets import union
from vpr_aesvc.recognition.sequence.bayes_filter import Belief, SequenceFilter
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.recognition.similarity.neighborhoods import SimilarityMargin
from vpr_aesvc.recognition.similarity.sampled import Similarities, most_similar, similarities_at
from vpr_aesvc.types import Descriptor, Frame, Image, Intrinsics, Match, Odometry, Progress, Rows

_LIKELY = 0.5  # probability above which the sequence's place is preferred to the frame's


class Recognizer:
    """Recognizes places of a map in the frames of one camera, in the order they were taken. Not thread-safe.

    The map may change meanwhile, also by another process. The models learned from it are stored in it, and learned again when it has
    grown by a quarter, which takes seconds on a large map; ``prepare`` does it beforehand.

    Args:
        place_map: an open map.
        describer: of the model that made the map; None if every frame comes with its descriptor.
        intrinsics: of the camera, if all frames have the same; see ``recognize``.
        learn_in_background: no frame waits for learning; old models are used until the new ones are ready, and without old ones no match
            is accepted. The time of the switch depends on the machine, so answers may differ between two runs. Without it, all runs are
            equal.
        learned: the models of this map and size, to share those of another recognizer.

    Attributes:
        snapshot: the map as arrays, a ``MapSnapshot``.
        learned: the ``LearnedModels`` of the map.

    Raises:
        VprError: the model is not that of the map, or the map has no descriptors of the size in the settings.
    """

    def __init__(
        self,
        place_map: PlaceMap,
        describer: Describer | None,
        settings: RecognizerSettings | None = None,
        intrinsics: Intrinsics | None = None,
        learn_in_background: bool = False,
        learned: LearnedModels | None = None,
    ) -> None:
        expect(place_map, PlaceMap, "an open map: PlaceMap.open(PATH)")
        if describer is not None:
            expect(describer, Describer, "a model: Describer.open(PATH)")
            place_map.require(describer)
        self.map = place_map
        self._describer = describer
        self.settings = settings or RecognizerSettings()
        size = place_map.check_size(self.settings.size)
        self.snapshot = MapSnapshot(place_map, size)
        self.learned = learned or LearnedModels(place_map, size)
        self.filter = SequenceFilter(self.snapshot.track)
        self._keypoints = StoredKeypoints(place_map) if self.settings.geometry else None
        self._intrinsics = intrinsics
        self._learn_in_background = learn_in_background
        self._has_revisited = False  # True once any match was accepted: new places may duplicate stored ones

    @property
    def describer(self) -> Describer:
        """Raises VprError without a model."""
        if self._describer is None:
            raise VprError("this recognizer has no model: give the descriptor of each frame")
        return self._describer

    def prepare(self, progress: Progress | None = None) -> None:
        """Reads the map and learns missing or stale models, so that the next frame does not wait.

        Args:
            progress: called with (percent done, 100) while models are learned.

        Raises:
            VprError: the map is damaged.
        """
        self._update(background=False, progress=progress)

    def update(self) -> None:
        """Reads the map as it is now, and learns as ``learn_in_background`` says. Each frame does it, too. Raises VprError as ``prepare``."""
        self._update(background=self._learn_in_background)

    def reset(self, reason: str | None = None) -> None:
        """Starts a new sequence, as for another run; ``reason`` is the message of the next recognition."""
        self.filter.reset(reason)

    def recognize(
        self,
        frame: Frame | Image | str | Path,
        odometry: Odometry | None = None,
        descriptor: Descriptor | None = None,
        intrinsics: Intrinsics | None = None,
    ) -> Recognition:
        """The best match of a frame, and whether it is accepted.

        Args:
            frame: a ``Frame`` with an image or a path, an RGB uint8 array [H, W, 3], or the path of an image. The stamp of a ``Frame``
                orders the sequence; with its pose it also selects the recent places to exclude.
            odometry: of the robot since the previous frame.
            descriptor: float32 [d_max], unit norm, if known. The image is then needed for geometry only.
            intrinsics: of the camera, in pixels of the image. With them ``geometry`` of the candidates holds the relative pose, for
                which the candidate's camera is assumed to be the same. They never change what is accepted.

        Raises:
            VprError: the frame is of another type, its image cannot be read, a number is not finite, or the map is damaged. The sequence
                is unchanged.
        """
        frame = _as_frame(frame)
        expect(odometry, (Odometry, type(None)), "odometry (vpr_aesvc.Odometry)")
        image = image_of(frame) if descriptor is None or self._keypoints is not None else None
        if descriptor is None:
            assert image is not None
            descriptor = self.describer.describe(image)
        self.update()
        similarities = self.snapshot.similarities(descriptor, self.settings.where(frame))
        if not self.settings.sequence:
            self.filter.reset()
        belief = self.filter.step(similarities, stamp=frame.stamp, odometry=odometry)
        return self.decide_match(image, similarities, belief, intrinsics)

    def decide_match(
        self,
        image: Image | None,
        similarities: Similarities,
        belief: Belief,
        intrinsics: Intrinsics | None = None,
    ) -> Recognition:
        """The stages after the sequence. ``recognize_run`` calls it with smoothed beliefs.

        Args:
            image: RGB uint8 [H, W, 3]; needed for geometry.
            similarities: float32 [n], to all places of the snapshot, or to some.
        """
        message, self.learned.message = belief.message or self.learned.message, None
        margin = self.snapshot.neighborhoods.margin(similarities)
        belief = self._with_most_probable_row(belief)
        rows = self._propose(similarities, margin, belief)
        if not rows:
            why = "every place of the map is excluded for this frame" if len(self.snapshot) else "the map is empty"
            return Recognition(False, why, lost=belief.lost, message=message)
        geometries = self._verify(image, rows, intrinsics)
        order = self._order(rows, belief, geometries)
        rows = [rows[at] for at in order]
        geometries = [geometries[at] for at in order] if geometries else []
        near = self.snapshot.track.near(rows[0], self.filter.settings.window)
        decision = self._decide(margin, belief, geometries[0] if geometries else None, near)
        self._has_revisited |= decision.accepted
        candidates = self._candidates(rows, similarities, belief, geometries or [None] * len(rows))
        likely = union(belief.likely_rows(len(self.snapshot)), near)
        covariance = match_covariance(
            poses=self.snapshot.poses[likely],
            steps=self.snapshot.steps(likely),
            best=int(np.searchsorted(likely, rows[0])),
            near=np.isin(likely, near),
            posterior=belief.at(likely),
            probability=decision.probability,
        )
        return Recognition(
            accepted=decision.accepted,
            why=decision.why,
            best=candidates[0].match,
            candidates=candidates,
            probability=decision.probability,
            false_positive_rate=decision.false_positive_rate,
            inliers=geometries[0].inliers if geometries else None,
            pose=candidates[0].match.place.pose,
            covariance=covariance,
            lost=belief.lost,
            message=message,
        )

    def _decide(self, margin: SimilarityMargin, belief: Belief, geometry: Geometry | None, near: Rows) -> Decision:
        """The decision on a match; ``near`` are the rows that count as the same answer. While models are missing it is not accepted."""
        if not self.learned.is_ready(self._keypoints is not None):
            done = 1.0 if self.learned.progress is None else self.learned.progress
            return Decision(False, 1.0, 0.0, f"the map is being learned ({100 * done:.0f} %): no match is accepted yet")
        inputs = DecisionInputs(
            null=self.learned.null,
            inlier_model=self.learned.inlier_model,
            margin=margin if margin.row in near else None,
            geometry=geometry,
            belief=belief if self.settings.sequence else None,
            belief_agrees=belief.row in near,
            posterior=min(float(belief.at(near).sum()), 1.0),
        )
        return decide(inputs, self.settings.false_positive_rate)

    def _update(self, background: bool, progress: Progress | None = None) -> None:
        """Follows changes of the map: snapshot, filter and models."""
        change = self.snapshot.update(background)
        if change != "none":
            if self._keypoints is not None:
                self._keypoints.ids = self.snapshot.ids
            self.filter.track = self.snapshot.track
            if change == "other" and len(self.snapshot):
                self.filter.reset("places were removed from the map: a new sequence begins")
        geometry = self._keypoints is not None
        self.learned.update(self.snapshot, geometry, self._has_revisited, background, progress)
        self.filter.likelihood = self.learned.likelihood

    def _with_most_probable_row(self, belief: Belief) -> Belief:
        """For geometry the best place of the sequence is the most probable place of its window, not the middle of a flat belief: its
        picture must show what the frame shows."""
        if self._keypoints is None or belief.row is None:
            return belief
        near = self.snapshot.track.near(belief.row, self.filter.settings.window)
        return replace(belief, row=int(near[belief.at(near).argmax()]))

    def _propose(self, similarities: Similarities, margin: SimilarityMargin, belief: Belief) -> list[int]:
        """Rows of the candidates: the best place of the sequence (first if it is likely), that of the margin, and the most similar places."""
        first = [margin.row]
        if self.settings.sequence and belief.row is not None:
            first.insert(0 if belief.probability >= _LIKELY else 1, belief.row)
        proposed = dict.fromkeys([*first, *most_similar(similarities, self.settings.candidates).tolist()])
        rows = np.array([row for row in proposed if row >= 0], np.int64)
        visible = similarities_at(similarities, rows) > -np.inf
        return rows[visible].tolist()[: self.settings.candidates]

    def _verify(self, image: Image | None, rows: list[int], intrinsics: Intrinsics | None) -> list[Geometry]:
        """Geometric verification of each candidate; empty if geometry is off."""
        if self._keypoints is None or image is None:
            return []
        small = thumbnail(image)  # the size of the stored pictures, on which the inlier model was learned
        keypoints = detect_keypoints(small)
        intrinsics = self._intrinsics if intrinsics is None else intrinsics
        if intrinsics is not None:
            intrinsics = intrinsics.resized(image.shape, small.shape)
        return [verify(keypoints, self._keypoints[row], intrinsics) for row in rows]

    def _order(self, rows: list[int], belief: Belief, geometries: list[Geometry]) -> list[int]:
        """Positions of the candidates, best first: by geometry. If the sequence's place is likely and has geometric support, the places
        near it come before all others."""
        if not geometries:
            return list(range(len(rows)))
        order = rerank(geometries)
        likely = self.settings.sequence and belief.row == rows[0] and belief.probability >= _LIKELY
        if likely and geometric_verdict(geometries[0]) == "supported":
            near = self.snapshot.track.near(rows[0], self.filter.settings.window)
            order.sort(key=lambda at: rows[at] not in near)  # stable: the order by geometry stays within both groups
        return order

    def _candidates(
        self, rows: list[int], similarities: Similarities, belief: Belief, geometries: Sequence[Geometry | None]
    ) -> tuple[Candidate, ...]:
        ids = [int(self.snapshot.ids[row]) for row in rows]
        places, at = self.map.places(ids), np.array(rows)
        return tuple(
            Candidate(Match(places[place], float(similarity)), float(posterior), geometry)
            for place, similarity, posterior, geometry in zip(
                ids, similarities_at(similarities, at), belief.at(at), geometries, strict=True
            )
        )


def _as_frame(given: object) -> Frame:
    if isinstance(given, Frame):
        return given
    if isinstance(given, np.ndarray):
        return Frame("image", image=given)
    if isinstance(given, (str, Path)):
        return Frame(str(given), path=Path(given))
    raise VprError(
        f"expected a Frame, an RGB uint8 array [H, W, 3] or the path of an image, found {type(given).__name__}; convert it first"
    )
