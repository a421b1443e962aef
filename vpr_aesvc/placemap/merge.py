"""Frames, or a recording's keyframes -> a new map or another traverse of one: whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap.copies import frame_of
from vpr_aesvc.placemap.placemap import PlaceMap

if TYPE_CHECKING:
    pass

Progress = Callable[[int, int], None]


def add_map(place_map: PlaceMap, other: PlaceMap) -> int:
    """Adds all places of another map, of one model, in one transaction: they are all on disk when this returns, or none.

    Returns:
        how many there were.

    Raises:
        VprError: one of its traverses is there already, one of the maps is damaged, or the disk refuses.
    """
    theirs = other.traverses()
    require_new_traverses(place_map, theirs)
    ids, descriptors = other.descriptors()
    frames = [frame_of(place) for place in other.places().values()]
    place_map.add_stored(frames, descriptors, (other.thumbnail_jpeg(int(place)) for place in ids))
    for name, traverse in theirs.items():
        place_map.start_traverse(name, traverse.started, traverse.robot, traverse.notes)
    return len(frames)


def require_new_traverses(place_map: PlaceMap, names: Iterable[str]) -> None:
    """Refuses names that a map has already: a run that is added twice would be found twice, and its twin would hide it.

    Raises:
        VprError: so.
    """
    taken = sorted(set(names) & set(place_map.traverses()))
    if taken:
        raise VprError(
            f"{place_map.path}: has a traverse {taken[0]} already; nothing was added; give the new one another name with --traverse"
        )


def beside(path: Path) -> tempfile.TemporaryDirectory[str]:
    """A folder for work on a map, on the map's disk, that goes when the work ends.

    Raises:
        VprError: the disk refuses.
    """
    try:
        return tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.absolute().parent)
    except OSError as error:
        raise VprError(f"{path}: the map cannot be written ({error.strerror or error})") from error
