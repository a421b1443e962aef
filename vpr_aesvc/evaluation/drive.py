"""Recognizes a recorded run, whose own poses are the ground truth, in a map or in the part of the run before each frame.

Each frame is decoded and described once. One recognizer per variant processes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.datasets.positives import DISTANCES
from vpr_aesvc.errors import VprError
from vpr_aesvc.geography import require_one_zone
from vpr_aesvc.images import thumbnail
from vpr_aesvc.placemap.placemap import DEFAULT_TRAVERSE
from vpr_aesvc.recognition.decision import lowest_rate
from vpr_aesvc.recognition.recognizer import Recognizer
from vpr_aesvc.recognition.run import RunFollower

if TYPE_CHECKING:
    from vpr_aesvc.describer import Describer
    from vpr_aesvc.frame_source import FrameSource
    from vpr_aesvc.placemap.interface import OpenMap
    from vpr_aesvc.placemap.where import Where
    from vpr_aesvc.recognition.result import Recognition
    from vpr_aesvc.recognition.settings import RecognizerSettings
    from vpr_aesvc.types import Frame, Image, Intrinsics, Pose

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Variant:
    """Which parts of recognition are on."""

    name: str
    sequence: bool = False
    geometry: bool = False

    def open_recognizer(self, place_map: OpenMap, describer: Describer, settings: RecognizerSettings) -> Recognizer:
        """A recognizer with these settings, but with the sequence and geometry of this variant."""
        parts = {"sequence": self.sequence, "geometry": self.geometry}
        return Recognizer(place_map, describer, settings.model_copy(update=parts))


BOTH = "with both"
VARIANTS = (
    Variant("single frame"),
    Variant("with sequence", sequence=True),
    Variant("with geometry", geometry=True),
    Variant(BOTH, sequence=True, geometry=True),
)
_MAX_PICTURES, _PICTURE = 200, 240  # failures whose picture is kept, pixels of its longest side
MAX_DISTANCE = 25.0
"""Meters. A frame farther than this from every place shows nothing of the map."""


@dataclass(frozen=True)
class FrameAnswer:
    """Answer of one variant to one frame.

    Attributes:
        place: id of the best match, -1 without one. position: its x, y, z, meters; NaN without a pose.
        error: meters from the frame to it; infinite without a match or its pose.
        probability, false_positive_rate: as in ``Recognition``.
        accepted: False also for ``unjudged`` matches: accepted, but with a place that has no pose, so neither right nor wrong.
        metric: the metric pose in the map frame; None without one.
        why: the reason in words.
    """

    place: int
    position: tuple[float, float, float]
    error: float
    probability: float
    false_positive_rate: float
    accepted: bool
    metric: Pose | None = None
    why: str = ""


@dataclass(frozen=True)
class DriveFrame:
    """A frame with a pose, and the answers to it by variant; as in ``drive.json``.

    Attributes:
        frame: its label. stamp: seconds, NaN without one. position: x, y, z, meters. driven: meters from the start of the run.
        nearest: meters to the nearest place that the search may return; infinite where there is none.
        pose: of the camera; its position is ``position``.
    """

    frame: str
    stamp: float
    position: tuple[float, float, float]
    driven: float
    nearest: float
    answers: dict[str, FrameAnswer]
    pose: Pose | None = None


@dataclass
class Drive:
    """A run recognized in a map, or (``loops``) in its own earlier keyframes.

    Attributes:
        recent_meters: with ``loops``, places of the last so many meters are excluded from the search; else 0.
        places: float64 [m, 3], all places of the map at the end, meters; NaN without a pose.
        without_pose: number of frames left out because they have no pose.
        unjudged: by variant, number of accepted matches with places that have no pose.
        lowest: by variant, the lowest false-positive rate that the map can promise at the end.
        pictures: of some frames that ``BOTH`` did not place well, small: row in ``frames`` -> RGB of the frame, and
            of its best match.
    """

    loops: bool
    recent_meters: float
    frames: list[DriveFrame] = field(default_factory=list)
    places: Floats = field(default_factory=lambda: np.empty((0, 3)))
    without_pose: int = 0
    unjudged: dict[str, int] = field(default_factory=lambda: {variant.name: 0 for variant in VARIANTS})
    lowest: dict[str, float] = field(default_factory=dict)
    pictures: dict[int, tuple[Image, Image]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.frames)

    def column(self, name: str, variant: str | None = None) -> NDArray[Any]:
        """One attribute of all frames, or of the answers of a variant, [n] or [n, 3]."""
        rows = self.frames if variant is None else [frame.answers[variant] for frame in self.frames]
        return np.array([getattr(row, name) for row in rows])

    def answer(self, variant: str, frame_xyz: Floats, result: Recognition) -> FrameAnswer:
        """The answer of a variant, compared with the position of the frame; counts it where it is unjudged."""
        pose = None if result.best is None else result.best.place.pose
        place_xyz = (np.nan, np.nan, np.nan) if pose is None else (pose.x, pose.y, pose.z)
        self.unjudged[variant] += result.accepted and pose is None
        return FrameAnswer(
            place=-1 if result.best is None else result.best.place.id,
            position=place_xyz,
            error=np.inf if pose is None else float(np.linalg.norm(frame_xyz - place_xyz)),
            probability=result.probability,
            false_positive_rate=result.false_positive_rate,
            accepted=result.accepted and pose is not None,
            metric=None if result.metric is None else result.pose,
            why=result.why,
        )

    def keep_picture(self, image: Image, place_map: OpenMap) -> None:
        """Of the last frame, if ``BOTH`` did not place it within a meter. Of many such frames every second one is kept, so that memory is bounded."""
        one = self.frames[-1].answers[BOTH]
        if one.place < 0 or (one.accepted and one.error <= DISTANCES[0]):
            return
        match = place_map.thumbnail(one.place)
        if match is not None:
            self.pictures[len(self) - 1] = thumbnail(image, _PICTURE), thumbnail(match, _PICTURE)
        if len(self.pictures) > _MAX_PICTURES:
            self.pictures = dict(list(self.pictures.items())[::2])

    @property
    def times(self) -> Floats:
        """float64 [n], seconds from the start of the run, NaN without stamps. A clock that jumps back adds no time."""
        stamps = self.column("stamp")
        steps = np.diff(stamps, prepend=stamps[:1])
        return np.asarray(np.cumsum(np.where(steps < 0, 0.0, steps)))


def check_same_frame(recording: FrameSource, place_map: OpenMap, any_distance: bool = False) -> None:
    """Checks the poses before anything is decoded.

    Args:
        any_distance: the poses will be aligned, so they may be far apart.

    Raises:
        VprError: the recording or the map has no poses, or they are too far apart to be in one coordinate frame.
    """
    places = positions_of(place_map)
    places = places[np.isfinite(places[:, 0])]
    if not len(places):
        raise VprError(
            f"{place_map.path}: no place has a pose; add poses with `vpr map import TRAJECTORY.tum MAP`, or build the map from a recording with poses"
        )
    check_poses(recording)
    poses = [frame.pose for frame in recording if frame.pose is not None]
    if not any_distance:
        require_one_zone(recording.path, recording.notes, [one.notes or "" for one in place_map.traverses().values()])
    nearest = min(float(np.linalg.norm(places - (pose.x, pose.y, pose.z), axis=1).min()) for pose in poses)
    if nearest > MAX_DISTANCE and not any_distance:
        raise VprError(
            f"{recording.path}: no frame lies within {MAX_DISTANCE:g} m of any place of {place_map.path}, the nearest is {nearest:.0f} m away; "
            "both need poses in one coordinate frame: align them by the matches with --align se2, localize the run in the map's frame first, or leave out --map to look for loops"
        )


def check_poses(recording: FrameSource) -> None:
    """Raises VprError when no frame has a pose. Decodes nothing."""
    if not any(frame.pose is not None for frame in recording):
        raise VprError(
            f"{recording.path}: no frame has a pose, so matches cannot be checked; say where the poses are with --pose-topic or --trajectory"
        )


def drive_in_map(
    frames: Iterable[Frame],
    place_map: OpenMap,
    describer: Describer,
    settings: RecognizerSettings,
    intrinsics: Intrinsics | None = None,
) -> Drive:
    """Recognizes each frame in a map.

    Args:
        frames: with images, in order.
        settings: each variant overrides ``sequence`` and ``geometry``.
        intrinsics: of the camera, in pixels of the images.

    Raises:
        VprError: the map is damaged or belongs to another model.
    """
    drive = Drive(loops=False, recent_meters=0.0)
    for _ in _recognized(frames, place_map, describer, settings, drive, intrinsics):
        pass
    drive.places = positions_of(place_map)
    return drive


def drive_loops(
    keyframes: Iterable[Frame],
    place_map: OpenMap,
    describer: Describer,
    settings: RecognizerSettings,
    intrinsics: Intrinsics | None = None,
) -> Drive:
    """Recognizes each keyframe in a map that starts empty, then adds it.

    Args:
        keyframes: with images, in order.
        settings: define which places are recent; each variant overrides ``sequence`` and ``geometry``.

    Raises:
        VprError: the map cannot be written.
    """
    drive = Drive(loops=True, recent_meters=settings.recent_meters or 0.0)
    for frame, descriptor in _recognized(keyframes, place_map, describer, settings, drive, intrinsics):
        place_map.add([frame], descriptor[None], [frame.image])
        traverse = frame.sequence or DEFAULT_TRAVERSE
        if intrinsics is not None and frame.image is not None and (traverse, "") not in place_map.cameras():
            place_map.set_camera(traverse, intrinsics, (frame.image.shape[1], frame.image.shape[0]))
    drive.places = positions_of(place_map)
    return drive


def positions_of(place_map: OpenMap) -> Floats:
    """float64 [n, 3], in the order the places were added; NaN without a pose."""
    with place_map.arrays() as arrays:
        return arrays.positions[arrays.alive].copy()


def _recognized(
    frames: Iterable[Frame],
    place_map: OpenMap,
    describer: Describer,
    settings: RecognizerSettings,
    drive: Drive,
    intrinsics: Intrinsics | None,
) -> Iterator[tuple[Frame, NDArray[np.float32]]]:
    """Adds each frame and the answers of all variants to the drive; yields the frame and its descriptor."""
    followers = {one.name: RunFollower(one.open_recognizer(place_map, describer, settings)) for one in VARIANTS}
    for frame in frames:
        if frame.pose is None:
            drive.without_pose += 1
            continue
        assert frame.image is not None
        position = (frame.pose.x, frame.pose.y, frame.pose.z)
        xyz, stamp = np.array(position), np.nan if frame.stamp is None else frame.stamp
        nearest, driven = _nearest(place_map, settings.where(frame), xyz), _driven(drive, stamp, xyz)
        descriptor = describer.describe(frame.image)
        answers = {
            name: drive.answer(name, xyz, follower.recognize(frame, descriptor, intrinsics))
            for name, follower in followers.items()
        }
        drive.frames.append(DriveFrame(frame.label, stamp, position, driven, nearest, answers, frame.pose))
        drive.keep_picture(frame.image, place_map)
        yield frame, descriptor
    if drive.frames:
        learned = {name: follower.recognizer.learned for name, follower in followers.items()}
        drive.lowest = {
            one.name: lowest_rate(
                learned[one.name].null, learned[one.name].match_model if one.geometry else None, one.sequence
            )
            for one in VARIANTS
        }


def _driven(drive: Drive, stamp: float, xyz: Floats) -> float:
    """Meters from the start. A step in which the clock jumps back (a bag played twice) was not driven."""
    if not drive.frames:
        return 0.0
    before = drive.frames[-1]
    step = 0.0 if stamp < before.stamp else float(np.linalg.norm(xyz - before.position))
    return step + before.driven


def _nearest(place_map: OpenMap, where: Where | None, xyz: Floats) -> float:
    """Meters to the nearest place that the search may return; infinite where there is none."""
    with place_map.arrays() as arrays:
        mask = None if where is None else where.mask(arrays, {})
        allowed = arrays.alive if mask is None else arrays.alive & mask
        distances = np.linalg.norm(arrays.positions[allowed] - xyz, axis=1)
    return float(distances[np.isfinite(distances)].min(initial=np.inf))
