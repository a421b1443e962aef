"""How well a robot would have known where it was on a recorded run, told by the run's own poses: the runs themselves.

Each frame is decoded and described once; four recognizers, one a form, hear it in turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap.where import Where
from vpr_aesvc.recognition.recognizer import Recognizer
from vpr_aesvc.recognition.run import Run
from vpr_aesvc.recordings.recording import Recording
from vpr_aesvc.types import Frame

if TYPE_CHECKING:
    from vpr_aesvc.describer import Describer
    from vpr_aesvc.placemap import PlaceMap
    from vpr_aesvc.recognition.result import Recognition
    from vpr_aesvc.recognition.settings import RecognizerSettings

Floats = NDArray[np.float64]

BOTH = "with both"
FORMS = {
    "single frame": {"sequence": False, "geometry": False},
    "with sequence": {"sequence": True, "geometry": False},
    "with geometry": {"sequence": False, "geometry": True},
    BOTH: {"sequence": True, "geometry": True},
}
FAR = 25.0
"""Meters from every place from which on a frame shows nothing of a map."""


@dataclass
class Answers:
    """What one form said of each of n frames, in their order.

    Attributes, lists of n:
        place: id of the best match, -1 without one. position: its x, y, z, meters; NaN without a pose.
        error: meters from it to where the frame was; infinite without one.
        probability, false_positive_rate: as in ``Recognition``. accepted: bool.

        unjudged: how many matches more were accepted, of places that have no pose. They are neither right nor wrong, and not in ``accepted``.
    """

    place: list[int] = field(default_factory=list)
    position: list[tuple[float, float, float]] = field(default_factory=list)
    error: list[float] = field(default_factory=list)
    probability: list[float] = field(default_factory=list)
    false_positive_rate: list[float] = field(default_factory=list)
    accepted: list[bool] = field(default_factory=list)
    unjudged: int = 0

    def add(self, here: Floats, found: Recognition) -> None:
        pose = None if found.best is None else found.best.place.pose
        there = (np.nan,) * 3 if pose is None else (pose.x, pose.y, pose.z)
        self.place.append(-1 if found.best is None else found.best.place.id)
        self.position.append(there)
        self.error.append(np.inf if pose is None else float(np.linalg.norm(here - there)))
        self.probability.append(found.probability)
        self.false_positive_rate.append(found.false_positive_rate)
        self.accepted.append(found.accepted and pose is not None)
        self.unjudged += found.accepted and pose is None


@dataclass
class Drive:
    """One run against a map, or against its own past. Meters, in the frame of the poses.

    Attributes, the lists of n frames in their order:
        label: names the frame. stamp: seconds, NaN without one. position: x, y, z. driven: meters from the start of the run.
        nearest: meters to the nearest place that might have been returned; infinite where there was none.
        answers: by form.
        places: float64 [m, 3], all places of the map at the end; NaN without a pose.
        loops: whether the map was the run's own past.
        recent_meters: in loops, the last stretch of the way that was left out; 0 in a map.
        without_pose: frames that could not be judged, and were left out.
    """

    loops: bool
    recent_meters: float
    label: list[str] = field(default_factory=list)
    stamp: list[float] = field(default_factory=list)
    position: list[tuple[float, float, float]] = field(default_factory=list)
    driven: list[float] = field(default_factory=list)
    nearest: list[float] = field(default_factory=list)
    answers: dict[str, Answers] = field(default_factory=lambda: {name: Answers() for name in FORMS})
    places: Floats = field(default_factory=lambda: np.empty((0, 3)))
    without_pose: int = 0

    def __len__(self) -> int:
        return len(self.label)

    @property
    def times(self) -> Floats:
        """float64 [n], seconds from the start of the run, NaN without stamps; they stand still where the clock jumped back."""
        steps = np.diff(np.array(self.stamp), prepend=self.stamp[:1])
        return np.asarray(np.cumsum(np.where(steps < 0, 0.0, steps)))


def check_together(recording: Recording, place_map: PlaceMap) -> None:
    """Looks through the poses alone, before anything is decoded.

    Raises:
        VprError: the recording or the map has no poses, or the two lie so far apart that they are not in one frame.
    """
    places = positions_of(place_map)
    known = places[np.isfinite(places[:, 0])]
    if not len(known):
        raise VprError(
            f"{place_map.path}: no place has a pose; `vpr map set-poses` or a recording with poses gives them"
        )
    closest, seen = np.inf, 0
    for recorded in recording.frames():
        if (pose := recorded.frame.pose) is not None:
            seen += 1
            away = np.linalg.norm(known - (pose.x, pose.y, pose.z), axis=1).min()
            closest = min(closest, float(away))
    if not seen:
        raise _no_poses(recording)
    if closest > FAR:
        raise VprError(
            f"{recording.path}: no frame lies within {FAR:g} m of any place of {place_map.path}, the nearest is {closest:.0f} m away; "
            "both must have their poses in one frame, so localize the run in the map's frame first, or leave out --map to look for loops"
        )


def check_poses(recording: Recording) -> None:
    """Before anything is decoded.

    Raises:
        VprError: no frame has a pose.
    """
    if not any(recorded.frame.pose is not None for recorded in recording.frames()):
        raise _no_poses(recording)


def _no_poses(recording: Recording) -> VprError:
    return VprError(
        f"{recording.path}: no frame has a pose, so right and wrong cannot be told apart; say where the poses are "
        "with --pose-topic or --trajectory"
    )


def drive_in_map(
    frames: Iterable[Frame], place_map: PlaceMap, describer: Describer, settings: RecognizerSettings
) -> Drive:
    """Asks a map for each frame.

    Args:
        frames: with images, in order.
        settings: sequence and geometry are those of each form.

    Raises:
        VprError: the map is damaged or is another model's.
    """
    drive = Drive(loops=False, recent_meters=0.0)
    for _ in _asked(frames, place_map, describer, settings, drive):
        pass
    drive.places = positions_of(place_map)
    return drive


def drive_loops(
    keyframes: Iterable[Frame], place_map: PlaceMap, describer: Describer, settings: RecognizerSettings
) -> Drive:
    """Asks an empty map for each keyframe, and adds it after.

    Args:
        keyframes: with images, in order.
        settings: say which places are recent. Sequence and geometry are those of each form.

    Raises:
        VprError: the disk refuses.
    """
    drive = Drive(loops=True, recent_meters=settings.recent_meters or 0.0)
    for frame, descriptor in _asked(keyframes, place_map, describer, settings, drive):
        place_map.add([frame], descriptor[None], [frame.image])
    drive.places = positions_of(place_map)
    return drive


def positions_of(place_map: PlaceMap) -> Floats:
    """float64 [n, 3], in the order the places were added; NaN without a pose."""
    with place_map.loaded() as loaded:
        return loaded.positions[loaded.alive].copy()


def _asked(
    frames: Iterable[Frame], place_map: PlaceMap, describer: Describer, settings: RecognizerSettings, drive: Drive
) -> Iterator[tuple[Frame, NDArray[np.float32]]]:
    runs = {
        name: Run(Recognizer(place_map, describer, settings.model_copy(update=form))) for name, form in FORMS.items()
    }
    before: Floats | None = None
    for frame in frames:
        if frame.pose is None:
            drive.without_pose += 1
            continue
        assert frame.image is not None
        here = np.array([frame.pose.x, frame.pose.y, frame.pose.z])
        drive.label.append(frame.label)
        drive.stamp.append(np.nan if frame.stamp is None else frame.stamp)
        drive.position.append((frame.pose.x, frame.pose.y, frame.pose.z))
        step = 0.0 if before is None or _jumped_back(drive.stamp) else float(np.linalg.norm(here - before))
        drive.driven.append(step + (drive.driven[-1] if drive.driven else 0.0))
        drive.nearest.append(_nearest(place_map, settings.where(frame), here))
        before = here
        descriptor = describer.describe(frame.image)
        for name, run in runs.items():
            drive.answers[name].add(here, run.recognize(frame, descriptor))
        yield frame, descriptor


def _jumped_back(stamps: list[float]) -> bool:
    """At the last one: the clock was set, or the bag was played again; the robot did not drive from there to here."""
    return stamps[-1] < stamps[-2]


def _nearest(place_map: PlaceMap, where: Where | None, here: Floats) -> float:
    """Meters to the nearest place that may be returned; infinite where there is none."""
    with place_map.loaded() as loaded:
        allowed = loaded.alive
        mask = None if where is None else where.mask(loaded, {})
        allowed = allowed if mask is None else allowed & mask
        away = np.linalg.norm(loaded.positions[allowed] - here, axis=1)
    away = away[np.isfinite(away)]
    return float(away.min()) if len(away) else np.inf
