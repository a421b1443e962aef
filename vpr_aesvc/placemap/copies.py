"""Copies of maps: backups, places copied from map to map, and two maps of one model in one."""

import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import chain, count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.files import os_errors_named
from vpr_aesvc.placemap.database import new_file
from vpr_aesvc.placemap.interface import OpenMap
from vpr_aesvc.placemap.placemap import PlaceMap
from vpr_aesvc.types import Frame, Place, Progress

_BATCH = 1000
_FAR = 1e5  # meters


def temporary_folder_beside(path: Path) -> tempfile.TemporaryDirectory[str]:
    """A temporary folder on the map's disk. Raises VprError if it cannot be written."""
    with os_errors_named(path, "map"):
        return tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.absolute().parent)


def backup(place_map: PlaceMap, output: Path, progress: Progress | None = None) -> None:
    """Copies a map while other processes read and write it: the copy has all places acknowledged when it began. Every row
    of the copy is read and checked. Raises VprError: the map is damaged, the output exists, or the disk refuses."""

    def report(_status: int, left: int, pages: int) -> None:
        if progress:
            progress(pages - left, pages)

    with new_file(output) as partial:
        place_map.copy_to(partial, report)
        with PlaceMap.open(partial) as copy, copy.arrays():  # arrays() reads and checks every place
            copy.mark_as_copy()


def frame_of(place: Place, **extra: str) -> Frame:
    """A frame that adds this place to another map. ``extra``: beside that of the place."""
    path = None if place.path is None else Path(place.path)
    return Frame(place.label, path, None, place.stamp, place.pose, place.traverse, extra={**place.extra, **extra})


def copy_places(
    source: PlaceMap,
    target: PlaceMap,
    ids: Sequence[int] | NDArray[np.int64],
    change: Callable[[Frame], Frame] = lambda frame: frame,
    progress: Progress | None = None,
) -> None:
    """Adds places of one map to another, with their traverses, cameras, thumbnails and unchanged descriptors, and with
    their patches if both maps have the same projection of patches. ``change``: applied to each place's frame; ``sequence``
    of its result names the traverse. Raises VprError: the source is damaged, or the disk refuses."""
    all_ids, descriptors = source.descriptors()
    rows = np.searchsorted(all_ids, np.asarray(ids, np.int64))
    traverses, cameras = source.traverses(), source.cameras()
    started: set[str] = set()
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        places = source.places(all_ids[batch])
        frames = [change(frame_of(place)) for place in places.values()]
        for frame, place in zip(frames, places.values(), strict=True):
            if frame.sequence and frame.sequence not in started:
                started.add(frame.sequence)
                old = traverses[place.traverse]
                target.start_traverse(frame.sequence, old.started, old.robot, old.notes)
                seen = {(frame.sequence, name): one for (of, name), one in cameras.items() if of == place.traverse}
                target.set_cameras(seen)
        jpegs = [source.thumbnail_jpeg(place) for place in places]
        target.add_stored(frames, descriptors[batch], jpegs, patches=_patches(source, target, places))
        if progress:
            progress(start + len(batch), len(rows))


def merge(
    first: PlaceMap,
    second: PlaceMap,
    output: Path,
    align: Callable[[Frame], Frame] = lambda frame: frame,
    progress: Progress | None = None,
) -> dict[str, str]:
    """Writes a new map with the places of two maps. ``align``: transforms a frame of the second map to the map frame of the
    first. Returns new names by old, for the traverses of the second map whose names the first map has too. Raises VprError:
    the maps are of different models, one is damaged, the output exists, or the disk refuses."""
    first.require_same_model(second)
    names = _unique_names(second.traverses(), first.traverses())

    def align_and_rename(frame: Frame) -> Frame:
        return replace(align(frame), sequence=names[str(frame.sequence)])

    with new_file(output) as partial, PlaceMap.create_like(partial, first.meta) as merged:
        copy_places(first, merged, first.descriptors()[0], progress=progress)
        copy_places(second, merged, second.descriptors()[0], align_and_rename, progress)
    return {old: new for old, new in names.items() if old != new}


def require_near(one: OpenMap, other: PlaceMap, name: Path) -> None:
    """Raises VprError if the places of two maps are so far apart that their poses must be in different frames. ``name``:
    what the second map was made of, for the message."""
    xy, other_xy = (
        np.array([(place.pose.x, place.pose.y) for place in of.places().values() if place.pose is not None])
        for of in (one, other)
    )
    if not len(xy) or not len(other_xy):
        return
    gap = np.maximum(other_xy.min(0) - xy.max(0), xy.min(0) - other_xy.max(0)).max()
    if gap > _FAR:
        problem = "their poses are in different frames, such as local meters and UTM; nothing was added"
        advice = "Keep a map of its own, or bring it into the frame with `vpr map merge --transform`"
        raise VprError(f"{name}: its places are {gap / 1000:.0f} km from those of {one.path}: {problem}. {advice}")


def add_map(place_map: OpenMap, other: PlaceMap) -> int:
    """Adds all places of another map of the same model in one transaction: either all are on disk when this returns, or
    none. Returns their number. Raises VprError: a traverse of that name exists, a map is damaged, or the disk refuses."""
    traverses = other.traverses()
    ids, descriptors = other.descriptors()
    frames = [frame_of(place) for place in other.places().values()]
    jpegs = (other.thumbnail_jpeg(int(place)) for place in ids)
    place_map.add_stored(frames, descriptors, jpegs, new=traverses, patches=_patches(other, place_map, ids))
    for name, traverse in traverses.items():
        place_map.start_traverse(name, traverse.started, traverse.robot, traverse.notes)
    place_map.set_cameras(other.cameras())
    return len(frames)


def twins(place_map: OpenMap, other: PlaceMap) -> int:
    """How many places of another map have the descriptor of a place of this one, as the same image has."""
    known = {row.tobytes() for row in place_map.descriptors()[1]}
    return sum(row.tobytes() in known for row in other.descriptors()[1])


def _patches(source: PlaceMap, target: OpenMap, ids: Iterable[int]) -> Iterable[bytes | None] | None:
    """The patches of places of one map for another; None if they cannot be compared with those of the other."""
    if source.patch_projection is None or source.patch_projection != target.patch_projection:
        return None
    return (source.patches(place) for place in ids)


def _unique_names(names: Iterable[str], existing: Iterable[str]) -> dict[str, str]:
    """Each name with an unused one: itself, or itself with a number appended."""
    used = set(existing)
    unique = {}
    for name in names:
        candidates = chain([name], (f"{name}-{number}" for number in count(2)))
        unique[name] = next(one for one in candidates if one not in used)
        used.add(unique[name])
    return unique
