"""Where images were taken: by UTM in their names, or by latitude and longitude. All in one frame, in meters."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vpr_aesvc.datasets.exif_gps import GPS_NOTE, hold_gps
from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.errors import VprError
from vpr_aesvc.geography import UtmZone, look_like_degrees, may_be_degrees, zone_of
from vpr_aesvc.types import Pose

_EARTH = 2.1e7  # meters; half around it, and more than any UTM northing


@dataclass(frozen=True)
class Fix:
    """Degrees; meters above sea level; degrees clockwise from north."""

    latitude: float
    longitude: float
    altitude: float | None = None
    direction: float | None = None


def utm_pose(name: str) -> Pose | None:
    """``@0218047.08@2472431.44@50@Q@...`` -> its pose in UTM meters, or None for other names."""
    fields = name.split("@")
    if len(fields) < 4 or fields[0]:
        return None
    try:
        return Pose(float(fields[1]), float(fields[2]))
    except ValueError:  # no numbers, or none of a position
        return None


def located(images: FrameSet) -> FrameSet:
    """The set with the poses that names tell. An image that does not tell loses only its own pose, and is counted.

    Raises:
        VprError: the names hold degrees.
    """
    names = ["" if frame.path is None else frame.path.name for frame in images.frames]
    poses = [utm_pose(name) for name in names]
    if any(poses):
        positions = [(pose.x, pose.y) for pose in poses if pose is not None]
        check_meters(images.path, "the names of images", positions, images.notes)
        named = replace(images, kind=f"UTM {images.kind}")
        return _with_poses(named, _in_one_zone(images.path, names, poses, images.notes))
    if hold_gps([frame.path for frame in images.frames if frame.path is not None]):
        images.notes.append(GPS_NOTE)
    return images


def located_by(images: FrameSet, found: Sequence[Fix | str]) -> FrameSet:
    """The set with poses, all in the UTM zone of the first; headings only if all have one.

    Args:
        found: for each frame, where it was taken or why that is not known.
    """
    fixes = [fix for fix in found if isinstance(fix, Fix)]
    if not fixes:
        return _with_poses(images, [str(fix) for fix in found])
    zone = zone_of(fixes[0].latitude, fixes[0].longitude)
    xy, convergence, far = zone.place([fix.latitude for fix in fixes], [fix.longitude for fix in fixes])
    usual = next((fix.altitude for fix in fixes if fix.altitude is not None), 0.0)
    directions = [fix.direction for fix in fixes if fix.direction is not None]
    headings, words = np.zeros(len(fixes)), "unknown"
    if len(directions) == len(fixes):
        headings = np.pi / 2 - np.radians(directions) + convergence
        words = "of the camera"
    images.notes.append(f"poses: latitude and longitude, in {zone}, meters; headings: {words}")
    if far:
        images.notes.append(_far_note(far, zone))
    if len(fixes) > 2 and len({(fix.latitude, fix.longitude) for fix in fixes}) == 1:
        images.notes.append(f"all {len(fixes)} positions are the same: the receiver may have kept an old one")
    poses = iter(
        replace(Pose.planar(east, north, heading), z=usual if fix.altitude is None else fix.altitude)
        for fix, (east, north), heading in zip(fixes, xy.tolist(), headings.tolist(), strict=True)
    )
    return _with_poses(images, [next(poses) if isinstance(fix, Fix) else fix for fix in found])


def check_meters(path: Path, where: str, positions: Sequence[tuple[float, float]], notes: list[str]) -> None:
    """Notes positions that could be degrees.

    Raises:
        VprError: positions that should be meters are latitude and longitude, or are larger than the earth.
    """
    remedy = "write a frames.csv with the columns path, split, latitude and longitude"
    if look_like_degrees(positions):
        raise VprError(
            f"{path}: expected east and north in meters (UTM) in {where}, found what looks like degrees: {positions[0][0]:.10g}, "
            f"{positions[0][1]:.10g}; {remedy}, or, if these are meters, no more than 3 decimals"
        )
    far = next((one for one in positions if max(map(abs, one)) > _EARTH), None)
    if far is not None:
        raise VprError(
            f"{path}: expected east and north in meters in {where}, found {far[0]:.10g}, {far[1]:.10g}, farther than around the earth: "
            "they may be in millimeters, or degrees times ten million"
        )
    if may_be_degrees(positions):
        notes.append(
            f"poses: {where} are taken for meters; if {positions[0][0]:.10g}, {positions[0][1]:.10g} are degrees, {remedy}"
        )


def _far_note(count: int, zone: UtmZone) -> str:
    return f"{count} images are too far from {zone}: their positions are in their own zones, moved east by 10,000 km for each zone between"


def _in_one_zone(path: Path, names: Sequence[str], poses: Sequence[Pose | None], notes: list[str]) -> list[Pose | str]:
    """The poses in the zone of the first name that tells one, or why there is none: eastings of two zones do not compare."""
    zones = [None if pose is None else _zone(name) for name, pose in zip(names, poses, strict=True)]
    known = list(dict.fromkeys(zone for zone in zones if zone is not None))
    numbers = {_zone_number(name) for name, pose in zip(names, poses, strict=True) if pose is not None} - {None}
    if len(numbers) > 1 and not all(zone or pose is None for zone, pose in zip(zones, poses, strict=True)):
        raise VprError(
            f"{path}: the names of images have the UTM zones {', '.join(map(str, sorted(filter(None, numbers))))}, some without the letter of their band, so that they "
            "cannot be projected to one zone; write @east@north@zone@letter@"
        )
    made: list[Pose | str] = [pose or "no UTM in the name" for pose in poses]
    far = 0
    for at, (zone, pose) in enumerate(zip(zones, poses, strict=True)):
        if zone is not None and pose is not None and zone != known[0]:
            (xy,), _, is_far = known[0].place(*([one] for one in zone.unproject(pose.x, pose.y)))
            made[at], far = replace(pose, x=float(xy[0]), y=float(xy[1])), far + is_far
    if far:
        notes.append(_far_note(far, known[0]))
    if len(known) > 1:
        notes.append(f"poses: the names have {' and '.join(map(str, known))}; all were projected to {known[0]}")
    elif known:
        notes.append(f"poses: UTM in the names, in {known[0]}, meters")
    return made


def _zone_number(name: str) -> int | None:
    number = name.split("@")[3]
    return int(number) if number.isdecimal() and 1 <= int(number) <= 60 else None


def _zone(name: str) -> UtmZone | None:
    """Of a name such as ``@0218047.08@2472431.44@50@Q@...``; None if it tells none."""
    number, letter = _zone_number(name), [*name.split("@"), ""][4]
    is_zone = number is not None and len(letter) == 1 and "C" <= letter.upper() <= "X"
    return UtmZone(number, letter.upper() >= "N") if number is not None and is_zone else None


def _with_poses(images: FrameSet, found: Sequence[Pose | str]) -> FrameSet:
    """``found``: the pose of each frame, or why it has none, which is counted."""
    poses = [one if isinstance(one, Pose) else None for one in found]
    for frame, reason in zip(images.frames, found, strict=True):
        if isinstance(reason, str):
            images.skip_counts.add(f"poses ({reason})", frame.label)
    frames = (replace(frame, pose=pose) for frame, pose in zip(images.frames, poses, strict=True))
    return replace(images, frames=tuple(frames))
