"""New map files: written beside their final name and renamed when complete; backups; places copied from map to map."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.files import check_free
from vpr_aesvc.placemap.database import rename_new
from vpr_aesvc.placemap.placemap import PlaceMap
from vpr_aesvc.types import Frame, Place

_BATCH = 1000
Progress = Callable[[int, int], None]


@contextmanager
def new_file(output: Path, what: str = "map") -> Iterator[Path]:
    """A path beside ``output`` for a new file, renamed to ``output`` if the block succeeds, deleted if not.

    Raises:
        VprError: the output exists, or the disk refuses.
    """
    check_free(output, what)
    partial = output.with_name(f".{output.name}.{os.getpid()}.partial")
    try:
        yield partial
        rename_new(partial, output)
    except OSError as error:
        raise VprError(f"{output}: the {what} cannot be written ({error.strerror or error})") from error
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            partial.with_name(partial.name + suffix).unlink(missing_ok=True)


def temporary_folder_beside(path: Path) -> tempfile.TemporaryDirectory[str]:
    """A temporary folder on the map's disk. Raises VprError if it cannot be written."""
    try:
        return tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.absolute().parent)
    except OSError as error:
        raise VprError(f"{path}: the map cannot be written ({error.strerror or error})") from error


def backup(place_map: PlaceMap, output: Path, progress: Progress | None = None) -> None:
    """Copies a map while other processes read and write it: the copy has all places acknowledged when it began. Every row of the
    copy is read and checked.

    Args:
        progress: called with (pages copied, pages).

    Raises:
        VprError: the map is damaged, the output exists, or the disk refuses.
    """

    def report(_status: int, left: int, pages: int) -> None:
        if progress:
            progress(pages - left, pages)

    with new_file(output) as partial:
        place_map.copy_to(partial, report)
        with PlaceMap.open(partial) as copy, copy.arrays():  # arrays() reads and checks every place
            copy.mark_as_copy()


def frame_of(place: Place) -> Frame:
    """A frame that adds this place to another map."""
    path = None if place.path is None else Path(place.path)
    return Frame(place.label, path, None, place.stamp, place.pose, place.traverse, extra=place.extra)


def copy_places(
    source: PlaceMap,
    target: PlaceMap,
    ids: Sequence[int] | NDArray[np.int64],
    change: Callable[[Frame], Frame] = lambda frame: frame,
    progress: Progress | None = None,
) -> None:
    """Adds places of one map to another, with their traverses, thumbnails and unchanged descriptors.

    Args:
        change: applied to each place's frame; ``sequence`` of its result names the traverse.
        progress: called with (places copied, places).

    Raises:
        VprError: the source is damaged, or the disk refuses.
    """
    all_ids, descriptors = source.descriptors()
    rows = np.searchsorted(all_ids, np.asarray(ids, np.int64))
    traverses = source.traverses()
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
        target.add_stored(frames, descriptors[batch], [source.thumbnail_jpeg(place) for place in places])
        if progress:
            progress(start + len(batch), len(rows))
