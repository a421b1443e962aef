"""Frame -> match: all stages of recognition, in order."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import numpy as np

from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError, expect
from vpr_aesvc.images import image_of
from vpr_aesvc.placemap.interface import OpenMap
from vpr_aesvc.recognition.decision import Decision, decide
from vpr_aesvc.recognition.frame_keypoints import Ahead, FrameKeypoints
from vpr_aesvc.recognition.geometry.local_features import StoredKeypoints
from vpr_aesvc.recognition.geometry.metric_pose import MetricPose, pose_in_map, solve_metric_pose
from vpr_aesvc.recognition.geometry.place_points import StoredPoints
from vpr_aesvc.recognition.geometry.verification import Geometry, geometric_verdict
from vpr_aesvc.recognition.learned_models import LearnedModels
from vpr_aesvc.recognition.map_snapshot import MapSnapshot
from vpr_aesvc.recognition.matching import CandidateMatcher, FrameFeatures, RankedCandidates
from vpr_aesvc.recognition.patches.stored import StoredPatches
from vpr_aesvc.recognition.pose_covariance import match_covariance
from vpr_aesvc.recognition.result import Candidate, Recognition
from vpr_aesvc.recognition.row_sets import union
from vpr_aesvc.recognition.sequence.bayes_filter import Belief, SequenceFilter
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.recognition.similarity.sampled import Similarities, similarities_at
from vpr_aesvc.runtime import timed
from vpr_aesvc.types import Descriptor, Frame, Image, Intrinsics, Match, Odometry, Place, Progress

_SURE = 0.95  # probability of the sequence above which a frame after a confirmed one needs no key points


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
        milliseconds: of the last frame, by stage: search, sequence, and geometry with the decision.

    Raises:
        VprError: the model is not that of the map, or the map has no descriptors of the size in the settings.
    """

    def __init__(
        self,
        place_map: OpenMap,
        describer: Describer | None,
        settings: RecognizerSettings | None = None,
        intrinsics: Intrinsics | None = None,
        learn_in_background: bool = False,
        learned: LearnedModels | None = None,
    ) -> None:
        expect(place_map, OpenMap, "an open map: PlaceMap.open(PATH)")
        if describer is not None:
            expect(describer, Describer, "a model: Describer.open(PATH)")
            place_map.require(describer)
            describer = describer.of_size(place_map.dim)
        self.map = place_map
        self._describer = describer
        self.settings = settings or RecognizerSettings()
        size = place_map.check_size(self.settings.size)
        self.snapshot = MapSnapshot(place_map, size)
        self.learned = learned or LearnedModels(place_map, size)
        self.filter = SequenceFilter(self.snapshot.track)
        self._matcher = CandidateMatcher(
            self.snapshot,
            self.settings,
            StoredKeypoints(place_map) if self.settings.geometry else None,
            StoredPatches.of(place_map, describer) if self.settings.patches and self.settings.geometry else None,
            self.filter.settings.window,
        )
        self.milliseconds: dict[str, float] = {}
        self._points = (
            None
            if self._matcher.keypoints is None or not self.settings.metric_pose
            else StoredPoints(place_map, self.snapshot, self._matcher.keypoints)
        )
        self._intrinsics = intrinsics
        always = not self.settings.sequence or self.settings.excludes_recent
        self._keypoints = FrameKeypoints(self._matcher.keypoints, 1 if always else self.settings.verify_every)
        self._learn_in_background = learn_in_background
        self._has_revisited = False  # True once any match was accepted: new places may duplicate stored ones

    @property
    def describer(self) -> Describer:
        """Raises VprError without a model."""
        if self._describer is None:
            raise VprError("this recognizer has no model: give the descriptor of each frame")
        return self._describer

    def prepare(self, progress: Progress | None = None) -> None:
        """Reads the map, learns missing or stale models, and detects the key points of a small map, and with intrinsics triangulates them, so that
        the next frame does not wait.

        Args:
            progress: called with (percent done, 100) while models are learned.

        Raises:
            VprError: the map is damaged.
        """
        self._update(background=False, progress=progress)
        if self._matcher.keypoints is not None:
            self._matcher.keypoints.detect_all()
        if self._points is not None and self._intrinsics is not None:
            self._points.triangulate_all()

    def warm_up(self, seconds: float) -> None:
        """Detects the key points of a small map, as many as fit into that time: the first frames, which are compared with them, do not wait."""
        if self._matcher.keypoints is not None:
            self._matcher.keypoints.detect_all(seconds)

    def update(self) -> None:
        """Reads the map as it is now, and learns as ``learn_in_background`` says. Each frame does it, too. Raises VprError as ``prepare``."""
        self._update(background=self._learn_in_background)

    def reset(self, reason: str | None = None) -> None:
        """Starts a new sequence, as for another run; ``reason`` is the message of the next recognition."""
        self.filter.reset(reason)
        self._keypoints.forget_confirmed()

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
            intrinsics: of the camera, in pixels of the image. With them ``geometry`` of verified candidates holds the relative pose,
                for which the candidate's camera is assumed to be the same, and ``metric`` the metric pose, for which the map must know its
                camera. Where the map can give one, every frame is then verified.

        Raises:
            VprError: the frame is of another type, its image cannot be read, a number is not finite, or the map is damaged. The sequence
                is unchanged.
        """
        frame = _as_frame(frame)
        expect(odometry, (Odometry, type(None)), "odometry (vpr_aesvc.Odometry)")
        needs_image = descriptor is None or self._matcher.keypoints is not None or self._matcher.patches is not None
        image = image_of(frame) if needs_image else None
        if image is not None:
            self.look_ahead(image)
        if descriptor is None:
            assert image is not None
            descriptor = self.describer.describe(image)
        with timed(self.milliseconds, "search"):
            self.update()
            similarities = self.snapshot.similarities(descriptor, self.settings.where(frame))
        with timed(self.milliseconds, "sequence"):
            if not self.settings.sequence:
                self.filter.reset()
            belief = self.filter.step(similarities, stamp=frame.stamp, odometry=odometry)
            if belief.message is not None:
                self._keypoints.forget_confirmed()
        with timed(self.milliseconds, "geometry"):
            ahead = None if image is None else self._keypoints.take(image)
            intrinsics = self._intrinsics if intrinsics is None else intrinsics
            found = None if ahead is None else self._sure_without_key_points(ahead, similarities, belief, intrinsics)
            if found is not None:
                return self._answer(FrameFeatures(intrinsics=intrinsics), found, similarities, belief)
            proposal = self._matcher.propose(similarities, belief)  # it and the places, while key points are detected
            places = self.map.places(self.snapshot.ids[proposal.rows].tolist())
            features = self._features(image, ahead, intrinsics)
            found = self._matcher.match(features, proposal)
            if ahead is not None:
                self._confirm(ahead, found, intrinsics)
            return self._answer(features, found, similarities, belief, places)

    def look_ahead(self, image: Image) -> None:
        """Begins to detect the key points of a frame to come, RGB uint8 [H, W, 3], in another thread, if it is expected to need them. For any thread:
        the caller describes the image meanwhile, or recognizes the frame before it. Of the last two images they are kept."""
        self._keypoints.look_ahead(image)

    def decode_ahead(self, decode: Callable[[], Image]) -> Future[Image]:
        """The image of a frame to come, decoded in another thread, where ``look_ahead`` follows. For any thread."""
        return self._keypoints.decode_ahead(decode)

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
        features = self._features(image, None if image is None else self._keypoints.take(image), intrinsics)
        found = self._matcher.match(features, self._matcher.propose(similarities, belief))
        return self._answer(features, found, similarities, belief)

    def _sure_without_key_points(
        self, ahead: Ahead, similarities: Similarities, belief: Belief, intrinsics: Intrinsics | None
    ) -> RankedCandidates | None:
        """The match of a frame soon after a confirmed one, on whose place similarity and sequence agree; None if it must be verified."""
        last = self._keypoints.confirmed_before(ahead)
        found = None if last is None else self._matcher.match_tracked(similarities, belief)
        if last is None or found is None or found.posterior < _SURE or self._can_measure(found.rows[0], intrinsics):
            return None
        return replace(found, distinctive_inliers=last.inliers, frames_since_verified=ahead.number - last.number)

    def _confirm(self, ahead: Ahead, found: RankedCandidates | None, intrinsics: Intrinsics | None) -> None:
        """After a frame was verified. It stands for ``verify_every`` frames, so its own false-positive rate, without the help of the sequence, must be
        so many times lower than the requested one."""
        model = self.learned.match_model
        if model is not None and found is not None and geometric_verdict(found.geometries[0]) == "supported":
            rate = model.extrapolated_rate(found.distinctive_inliers)
            is_certain = self.settings.verify_every * rate <= self.settings.false_positive_rate
            if is_certain and not self._can_measure(found.rows[0], intrinsics):
                self._keypoints.confirm(ahead, found.rows[0], found.distinctive_inliers)
                return
        self._keypoints.forget_confirmed()

    def _can_measure(self, row: int, intrinsics: Intrinsics | None) -> bool:
        """Whether there may be a metric pose at a place. It needs the key points of the frame."""
        return self._points is not None and intrinsics is not None and not self._points[row].refusal

    def _answer(
        self,
        features: FrameFeatures,
        found: RankedCandidates | None,
        similarities: Similarities,
        belief: Belief,
        places: dict[int, Place] | None = None,
    ) -> Recognition:
        """``places``: of the candidates, by id, if they were read before."""
        message, self.learned.message = belief.message or self.learned.message, None
        if found is None:
            why = "every place of the map is excluded for this frame" if len(self.snapshot) else "the map is empty"
            return Recognition(False, why, lost=belief.lost, message=message)
        decision = self._decide(found)
        self._has_revisited |= decision.accepted
        candidates = self._candidates(found, similarities, places)
        likely = union(belief.likely_rows(len(self.snapshot)), found.near)
        covariance = match_covariance(
            poses=self.snapshot.poses[likely],
            steps=self.snapshot.steps(likely),
            best=int(np.searchsorted(likely, found.rows[0])),
            near=np.isin(likely, found.near),
            posterior=belief.at(likely),
            probability=decision.probability,
        )
        pose, metric = candidates[0].match.place.pose, self._metric_pose(features, found)
        if isinstance(metric, MetricPose) and pose is not None:
            pose, covariance = pose_in_map(pose, metric)
        return Recognition(
            accepted=decision.accepted,
            why=decision.why,
            best=candidates[0].match,
            candidates=candidates,
            probability=decision.probability,
            false_positive_rate=decision.false_positive_rate,
            inliers=found.geometries[0].inliers if found.geometries else None,
            pose=pose,
            covariance=covariance,
            metric=metric if isinstance(metric, MetricPose) else None,
            metric_refusal=metric if isinstance(metric, str) else "",
            posterior=found.posterior,
            lost=belief.lost,
            message=message,
        )

    def _metric_pose(self, features: FrameFeatures, found: RankedCandidates) -> MetricPose | str:
        """Relative to the best candidate, or the reason why there is none; empty if it is not asked for."""
        if self._points is None or (features.keypoints is None and not found.frames_since_verified):
            return ""
        if features.intrinsics is None:
            return "the intrinsics of the camera are unknown"
        if features.keypoints is None:
            return self._points[found.rows[0]].refusal
        geometry = found.geometries[0]
        if geometric_verdict(geometry) != "supported":
            return f"only {geometry.inliers} key points fit the place"
        place, rigid = self._points[found.rows[0]], geometry.inliers / max(geometry.matches, 1)
        try:
            return solve_metric_pose(features.keypoints, features.intrinsics, geometry.pairs, place, rigid)
        except np.linalg.LinAlgError:
            return "the matched points do not determine a pose"

    def _features(self, image: Image | None, ahead: Ahead | None, intrinsics: Intrinsics | None) -> FrameFeatures:
        """Of an image, whose key points are those of ``ahead``."""
        if image is None:
            return FrameFeatures()
        keypoints, patches = None if ahead is None else self._keypoints.of(ahead), self._matcher.patches
        intrinsics = self._intrinsics if intrinsics is None else intrinsics
        if keypoints is None or intrinsics is None:
            scaled = None
        else:
            scaled = intrinsics.resized(image.shape, (keypoints.height, keypoints.width))
        return FrameFeatures(
            keypoints=keypoints,
            patches=None if patches is None else patches.projection(self.describer.patches(image)),
            intrinsics=scaled,
        )

    def _decide(self, found: RankedCandidates) -> Decision:
        """The decision on the best candidate. While models are missing it is not accepted."""
        if not self.learned.is_ready(self._matcher.keypoints is not None):
            done = 1.0 if self.learned.progress is None else self.learned.progress
            return Decision(False, 1.0, 0.0, f"the map is being learned ({100 * done:.0f} %): no match is accepted yet")
        model = self.learned.match_model if found.geometries or found.frames_since_verified else None
        return decide(found, self.learned.null, model, self.settings.sequence, self.settings.false_positive_rate)

    def _update(self, background: bool, progress: Progress | None = None) -> None:
        """Follows changes of the map: snapshot, filter and models."""
        change = self.snapshot.update(background)
        if change != "none":
            for stored in (self._matcher.keypoints, self._matcher.patches):
                if stored is not None:
                    stored.ids = self.snapshot.ids
            if self._points is not None and change != "grown":
                self._points.clear()
            self.filter.track = self.snapshot.track
            if change == "other" and len(self.snapshot):
                self.filter.reset("places were removed from the map: a new sequence begins")
        geometry = self._matcher.keypoints is not None
        self.learned.update(self.snapshot, geometry, self._has_revisited, background, progress)
        self.filter.likelihood = self.learned.likelihood
        model = self.learned.match_model
        self._matcher.ranking = None if model is None else model.ranking

    def _candidates(
        self, found: RankedCandidates, similarities: Similarities, places: dict[int, Place] | None
    ) -> tuple[Candidate, ...]:
        rows = np.array(found.rows)
        ids = self.snapshot.ids[rows].tolist()
        places = places or self.map.places(ids)
        geometries: list[Geometry | None] = [None if one.is_skipped else one for one in found.geometries]
        geometries += [None] * (len(rows) - len(geometries))
        return tuple(
            Candidate(Match(places[place], float(similarity)), float(posterior), geometry, patches)
            for place, similarity, posterior, geometry, patches in zip(
                ids, similarities_at(similarities, rows), found.belief.at(rows), geometries, found.patches, strict=True
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
