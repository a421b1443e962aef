"""Two maps of one model in one: as a new map, or added to an existing map."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap.copies import Progress, copy_places, frame_of, new_file
from vpr_aesvc.placemap.placemap import PlaceMap
from vpr_aesvc.types import Frame


def merge(
    first: PlaceMap,
    second: PlaceMap,
    output: Path,
    align: Callable[[Frame], Frame] = lambda frame: frame,
    progress: Progress | None = None,
) -> dict[str, str]:
    """Writes a new map with the places of two maps.

    Args:
        align: transforms a frame of the second map to the map frame of the first.
        progress: called with (places copied, places).

    Returns:
        new names by old, for the traverses of the second map whose names the first map has too.

    Raises:
        VprError: the maps are of different models, one is damaged, the output exists, or the disk refuses.
    """
    if first.model_family != second.model_family:
        raise VprError(
            f"{second.path}: was made with model {second.model_fingerprint}, {first.path} with {first.model_fingerprint}; "
            "maps of different models cannot be merged, build one of them again with the other's model"
        )
    names = _unique_names(second.traverses(), first.traverses())
    total = len(first) + len(second)

    def align_and_rename(frame: Frame) -> Frame:
        return replace(align(frame), sequence=names[str(frame.sequence)])

    def report(done: int) -> None:
        if progress:
            progress(done, total)

    with new_file(output) as partial, PlaceMap.create_like(partial, first.meta) as merged:
        copy_places(first, merged, first.descriptors()[0], progress=lambda done, _: report(done))
        copy_places(
            second,
            merged,
            second.descriptors()[0],
            change=align_and_rename,
            progress=lambda done, _: report(len(first) + done),
        )
    return {old: new for old, new in names.items() if old != new}


def add_map(place_map: PlaceMap, other: PlaceMap) -> int:
    """Adds all places of another map of the same model in one transaction: either all are on disk when this returns, or none.
    Returns their number.

    Raises:
        VprError: a traverse of that name exists, a map is damaged, or the disk refuses.
    """
    traverses = other.traverses()
    require_new_traverses(place_map, traverses)
    ids, descriptors = other.descriptors()
    frames = [frame_of(place) for place in other.places().values()]
    place_map.add_stored(frames, descriptors, (other.thumbnail_jpeg(int(place)) for place in ids))
    for name, traverse in traverses.items():
        place_map.start_traverse(name, traverse.started, traverse.robot, traverse.notes)
    return len(frames)


def require_new_traverses(place_map: PlaceMap, names: Iterable[str]) -> None:
    """Raises VprError if the map has a traverse of one of the names: a run added twice would always match itself."""
    existing = sorted(set(names) & set(place_map.traverses()))
    if existing:
        raise VprError(
            f"{place_map.path}: has a traverse {existing[0]} already; nothing was added, give the new one another name with --traverse"
        )


def _unique_names(names: Iterable[str], existing: Iterable[str]) -> dict[str, str]:
    """Each name with an unused one: itself, or itself with a number appended."""
    used = set(existing)
    unique = {}
    for name in names:
        candidate, number = name, 2
        while candidate in used:
            candidate, number = f"{name}-{number}", number + 1
        used.add(candidate)
        unique[name] = candidate
    return unique
