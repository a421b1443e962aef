"""A new map from others: built beside its final name, whole or not at all; a backup; places copied with all they have."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.files import check_free
from vpr_aesvc.placemap import store
from vpr_aesvc.placemap.placemap import PlaceMap
from vpr_aesvc.types import Frame, Place

_BATCH = 1000
Progress = Callable[[int, int], None]


@contextmanager
def new_file(output: Path) -> Iterator[Path]:
    """A path beside ``output`` for a map to be made at, which gets its name when the block ends well.

    Raises:
        VprError: the output exists, or the disk refuses.
    """
    check_free(output, "map")
    partial = output.with_name(f".{output.name}.{os.getpid()}.partial")
    try:
        yield partial
        store.take_name(partial, output)
    except OSError as error:
        raise VprError(f"{output}: the map cannot be written ({error.strerror or error})") from error
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            partial.with_name(partial.name + suffix).unlink(missing_ok=True)


def backup(place_map: PlaceMap, output: Path, progress: Progress | None = None) -> None:
    """A copy of a map while other processes read and write it: all that was acknowledged when the copy began.

    Raises:
        VprError: the map is damaged, the output exists, or the disk refuses.
    """

    def tell(_status: int, left: int, of: int) -> None:
        if progress:
            progress(of - left, of)

    with new_file(output) as partial:
        place_map.copy_to(partial, tell)
        with (
            PlaceMap.open(partial) as copy,
            copy.loaded(),
        ):  # reads and checks every place: a backup that is damaged is none
            copy.mark_as_copy()


def frame_of(place: Place) -> Frame:
    """A place as a frame that can be added to another map."""
    path = None if place.path is None else Path(place.path)
    return Frame(place.label, path, None, place.stamp, place.pose, place.traverse, extra=place.extra)


def copy_places(
    source: PlaceMap,
    target: PlaceMap,
    ids: Sequence[int] | NDArray[np.int64],
    change: Callable[[Frame], Frame] = lambda frame: frame,
    progress: Progress | None = None,
) -> None:
    """Adds places of one map to another, with their traverses, thumbnails and the very descriptors.

    Args:
        change: what becomes of each place's frame; its ``sequence`` names the traverse.

    Raises:
        VprError: the source is damaged, or the disk refuses.
    """
    every, descriptors = source.descriptors()
    at = np.searchsorted(every, np.asarray(ids, np.int64))
    described = source.traverses()
    told: set[str] = set()
    for start in range(0, len(at), _BATCH):
        part = at[start : start + _BATCH]
        places = source.places(every[part])
        frames = [change(frame_of(place)) for place in places.values()]
        for frame, place in zip(frames, places.values(), strict=True):
            if frame.sequence and frame.sequence not in told:
                told.add(frame.sequence)
                old = described[place.traverse]
                target.start_traverse(frame.sequence, old.started, old.robot, old.notes)
        target.add_stored(frames, descriptors[part], [source.thumbnail_jpeg(place) for place in places])
        if progress:
            progress(start + len(part), len(at))


def free_names(wanted: Iterable[str], taken: Iterable[str]) -> dict[str, str]:
    """Each wanted traverse name with one that is not taken: itself, or itself with a number behind it."""
    used = set(taken)
    answer = {}
    for name in wanted:
        free, number = name, 2
        while free in used:
            free, number = f"{name}-{number}", number + 1
        used.add(free)
        answer[name] = free
    return answer


def merge(
    first: PlaceMap,
    second: PlaceMap,
    output: Path,
    align: Callable[[Frame], Frame] = lambda frame: frame,
    progress: Progress | None = None,
) -> dict[str, str]:
    """A new map with the places of two maps of one model.

    Args:
        align: brings a frame of the second map into the coordinates of the first.
        progress: called with (places copied, places).

    Returns:
        the traverses of the second map that got another name, as their names were taken: new names by old.

    Raises:
        VprError: the maps are of different models, one is damaged, the output exists, or the disk refuses.
    """
    if first.model_family != second.model_family:
        raise VprError(
            f"{second.path}: was made with model {second.model_fingerprint}, {first.path} with {first.model_fingerprint}; "
            "maps of different models cannot be merged"
        )
    names = free_names(second.traverses(), first.traverses())
    total = len(first) + len(second)

    def renamed(frame: Frame) -> Frame:
        moved = align(frame)
        return Frame(
            moved.label, moved.path, None, moved.stamp, moved.pose, names[str(frame.sequence)], extra=moved.extra
        )

    with new_file(output) as partial, PlaceMap.create_like(partial, first.meta) as merged:
        copy_places(
            first, merged, first.descriptors()[0], progress=progress and (lambda done, _: progress(done, total))
        )
        copy_places(
            second,
            merged,
            second.descriptors()[0],
            renamed,
            progress and (lambda done, _: progress(len(first) + done, total)),
        )
    return {old: new for old, new in names.items() if old != new}
