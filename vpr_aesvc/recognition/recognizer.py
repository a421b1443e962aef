"""Frame -> match: all stages of recognition, in order."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError, expect
from vpr_aesvc.images import image_of, thumbnail
from vpr_aesvc.placemap.interface import OpenMap
from vpr_aesvc.recognition.decision import Decision, decide
from vpr_aesvc.recognition.geometry.local_features import Keypoints, StoredKeypoints, detect_keypoints
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
from vpr_aesvc.types import Descriptor, Frame, Image, Intrinsics, Match, Odometry, Progress


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
        self._ahead: dict[int, _Ahead] = {}  # by id of the image, oldest first
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
                which the candidate's camera is assumed to be the same, and ``metric`` the metric pose, for which the map must know its
                camera. They never change what is accepted.

        Raises:
            VprError: the frame is of another type, its image cannot be read, a number is not finite, or the map is damaged. The sequence
                is unchanged.
        """
        frame = _as_frame(frame)
        expect(odometry, (Odometry, type(None)), "odometry (vpr_aesvc.Odometry)")
        needs_image = descriptor is None or self._matcher.keypoints is not None or self._matcher.patches is not None
        image = image_of(frame) if needs_image else None
        if descriptor is None:
            assert image is not None
            self.look_ahead(image)
            descriptor = self.describer.describe(image)
        with timed(self.milliseconds, "search"):
            self.update()
            similarities = self.snapshot.similarities(descriptor, self.settings.where(frame))
        with timed(self.milliseconds, "sequence"):
            if not self.settings.sequence:
                self.filter.reset()
            belief = self.filter.step(similarities, stamp=frame.stamp, odometry=odometry)
        with timed(self.milliseconds, "geometry"):
            return self.decide_match(image, similarities, belief, intrinsics)

    def look_ahead(self, image: Image) -> None:
        """Begins to detect the key points of a frame to come, RGB uint8 [H, W, 3], in another thread. For any thread: the caller describes the image
        meanwhile, or recognizes the frame before it. Of the last two images they are kept."""
        keypoints = self._matcher.keypoints
        if keypoints is None or not len(keypoints) or id(image) in self._ahead:
            return
        small = thumbnail(image, keypoints.longest_side)
        detected = _detection_thread().submit(detect_keypoints, small)
        for old in list(self._ahead)[:-1]:
            if (unused := self._ahead.pop(old, None)) is not None:
                unused.keypoints.cancel()
        self._ahead[id(image)] = _Ahead(image, small.shape, detected)

    def decode_ahead(self, decode: Callable[[], Image]) -> Future[Image]:
        """The image of a frame to come, decoded in another thread, where ``look_ahead`` follows. For any thread."""

        def work() -> Image:
            image = decode()
            self.look_ahead(image)
            return image

        return _detection_thread().submit(work)

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
        features = self._features(image, intrinsics)
        found = self._matcher.match(features, similarities, belief)
        if found is None:
            why = "every place of the map is excluded for this frame" if len(self.snapshot) else "the map is empty"
            return Recognition(False, why, lost=belief.lost, message=message)
        decision = self._decide(found)
        self._has_revisited |= decision.accepted
        candidates = self._candidates(found, similarities)
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
        if self._points is None or features.keypoints is None:
            return ""
        if features.intrinsics is None:
            return "the intrinsics of the camera are unknown"
        geometry = found.geometries[0]
        if geometric_verdict(geometry) != "supported":
            return f"only {geometry.inliers} key points fit the place"
        place, rigid = self._points[found.rows[0]], geometry.inliers / max(geometry.matches, 1)
        try:
            return solve_metric_pose(features.keypoints, features.intrinsics, geometry.pairs, place, rigid)
        except np.linalg.LinAlgError:
            return "the matched points do not determine a pose"

    def _features(self, image: Image | None, intrinsics: Intrinsics | None) -> FrameFeatures:
        """Key points are detected at the size of the stored pictures, on which the models were learned."""
        if image is None:
            return FrameFeatures()
        self.look_ahead(image)
        ahead = self._ahead.pop(id(image), None)
        patches, intrinsics = self._matcher.patches, self._intrinsics if intrinsics is None else intrinsics
        return FrameFeatures(
            keypoints=None if ahead is None else ahead.keypoints.result(),
            patches=None if patches is None else patches.projection(self.describer.patches(image)),
            intrinsics=None if ahead is None or intrinsics is None else intrinsics.resized(image.shape, ahead.shape),
        )

    def _decide(self, found: RankedCandidates) -> Decision:
        """The decision on the best candidate. While models are missing it is not accepted."""
        if not self.learned.is_ready(self._matcher.keypoints is not None):
            done = 1.0 if self.learned.progress is None else self.learned.progress
            return Decision(False, 1.0, 0.0, f"the map is being learned ({100 * done:.0f} %): no match is accepted yet")
        model = self.learned.match_model if found.geometries else None
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

    def _candidates(self, found: RankedCandidates, similarities: Similarities) -> tuple[Candidate, ...]:
        rows = np.array(found.rows)
        ids = self.snapshot.ids[rows].tolist()
        places = self.map.places(ids)
        geometries: list[Geometry | None] = [*found.geometries, *[None] * (len(rows) - len(found.geometries))]
        return tuple(
            Candidate(Match(places[place], float(similarity)), float(posterior), geometry, patches)
            for place, similarity, posterior, geometry, patches in zip(
                ids, similarities_at(similarities, rows), found.belief.at(rows), geometries, found.patches, strict=True
            )
        )


class _Ahead(NamedTuple):
    """``shape``: of the image in which the key points are detected. The image is kept, so that no other one gets its id."""

    image: Image
    shape: tuple[int, ...]
    keypoints: Future[Keypoints]


@cache
def _detection_thread() -> ThreadPoolExecutor:
    """In the main thread of a process glibc gives the memory of each image pyramid back to the system, and SIFT takes twice as long."""
    return ThreadPoolExecutor(1, "key points")


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
