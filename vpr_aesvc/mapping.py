"""A frame source -> a new place map, written whole or not at all."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import expect
from vpr_aesvc.frame_source import FrameSource
from vpr_aesvc.images import image_of, thumbnail
from vpr_aesvc.inputs import refuse_path
from vpr_aesvc.keyframes.gate import KeyframeSettings
from vpr_aesvc.keyframes.selection import SelectionStats, keyframes, name_of, nothing_found
from vpr_aesvc.placemap.database import new_file
from vpr_aesvc.placemap.placemap import DEFAULT_TRAVERSE, PlaceMap
from vpr_aesvc.projections.neighbor_pooling import follows, pooled
from vpr_aesvc.recognition.patches.projection import PatchProjection
from vpr_aesvc.recordings.decoded import UNREADABLE
from vpr_aesvc.types import Frame, Image, Progress

_Places = tuple[Sequence[Frame], NDArray[np.float32], Sequence[Image | None] | None, Sequence[Any] | None]
_LEARNED_FROM = 128  # places from whose patches the projection of all patches is learned
_BATCH = 32  # places of a recording added in one transaction, because each transaction waits for the disk
_YEAR_2001 = 1e9  # seconds; a smaller stamp counts from the start of a run or of a simulation


def build_map(
    source: FrameSource | Sequence[Frame],
    describer: Describer,
    output: Path | str,
    traverse: str | None = None,
    settings: KeyframeSettings | None = None,
    progress: Progress | None = None,
    neighbor_weight: float | None = None,
    patches: bool | PatchProjection = False,
) -> SelectionStats:
    """Makes places of the database frames of a set, or of the keyframes of a recording, in a new map ``output``.

    Args:
        source: from ``vpr_aesvc.open_input``, or frames.
        traverse: the name of the traverse. By default that of the recording; frames with a ``sequence`` keep that name.
        settings: the distance between keyframes, for a recording.
        progress: called with (frames done, frames expected).
        neighbor_weight: weight of each neighbor along the drive in the descriptor of a place, 0 to 1; by default as the model says.
        patches: store the patches of each place, for re-ranking; with the projection of another map or one learned from the first places.

    The notes of the source (how it was understood) are stored with each traverse; `vpr map info` prints them.

    Returns:
        what was selected. ``source.skip_counts`` tells which images could not be used.

    Raises:
        VprError: the output exists, no image could be read, a recording is damaged, the model gives no patches, or the disk refuses.
    """
    refuse_path(source)
    expect(describer, Describer, "a model: Describer.open(PATH)")
    if patches:
        describer.require_patches()
    stats = SelectionStats()
    recording = source if not isinstance(source, Sequence) and source.is_recording else None
    if neighbor_weight is None:
        neighbor_weight = getattr(describer.manifest, "neighbor_weight", 0.0)
    with new_file(Path(output)) as partial, PlaceMap.create(partial, describer) as place_map:
        if recording is None:
            name = traverse or DEFAULT_TRAVERSE
            batches = _described_frames(source, describer, stats, progress)
        else:
            name = traverse or name_of(recording.path)
            batches = _described_keyframes(keyframes(recording, settings, stats, progress), describer, name)
        if neighbor_weight:
            batches = _pooled(batches, neighbor_weight, recording is not None)
        if patches:
            batches = _stored_patches(batches, place_map, patches, describer.require_patches())
        for frames, descriptors, images, stored_patches in batches:
            if recording is not None and not len(place_map):
                started = stats.first if stats.first is not None and stats.first >= _YEAR_2001 else None
                place_map.start_traverse(name, started)
            place_map.add(frames, descriptors, images, name, stored_patches)
        if recording is not None and not stats.taken:
            raise nothing_found(recording)
        if not isinstance(source, Sequence):  # complete only now
            named = dict.fromkeys([source.kind, source.path.absolute().name])
            notes = [" ".join(named), *source.notes]
            if neighbor_weight:
                notes.append(f"each place takes {neighbor_weight:g} of its neighbors along the drive")
            place_map.set_notes("\n".join(notes))
            if source.intrinsics is not None and source.image_size is not None:
                camera = source.intrinsics, source.image_size
                place_map.set_cameras({(name, ""): camera for name in place_map.traverses()})
    return stats


def _pooled(batches: Iterator[_Places], weight: float, is_drive: bool) -> Iterator[_Places]:
    """Pools each batch together with the last place before it and the first after it. ``is_drive``: all are of one drive."""
    before: _Places | None = None
    for batch, after in pairwise(chain(batches, [None])):
        assert batch is not None
        parts = [part for part in (before and _rows(before, -1), batch, after and _rows(after, 0)) if part]
        frames = [frame for part in parts for frame in part[0]]
        joined = np.arange(len(frames)) > 0 if is_drive else follows(frames)
        rows = pooled(np.concatenate([part[1] for part in parts]), joined, weight)[0 if before is None else 1 :]
        yield batch[0], rows[: len(batch[0])], *batch[2:]
        before = batch


def _stored_patches(
    batches: Iterator[_Places], place_map: PlaceMap, projection: PatchProjection | bool, grid: tuple[int, int]
) -> Iterator[_Places]:
    """Batches with patches as a map stores them. The first ones wait until there are enough to learn the projection from."""
    waiting: list[_Places] = []
    for batch in chain(batches, [None]):
        waiting += [batch] if batch else []
        if not isinstance(projection, PatchProjection):
            if not waiting or (batch and sum(len(one[0]) for one in waiting) < _LEARNED_FROM):
                continue
            projection = PatchProjection.learn(np.stack([rows for one in waiting for rows in one[3] or ()]), grid)
        if place_map.patch_projection is None:
            place_map.store_patches_with(projection.to_text())
        for frames, descriptors, images, patches in waiting:
            yield frames, descriptors, images, [projection.encode(rows) for rows in patches or ()]
        waiting.clear()


def _rows(places: _Places, at: int) -> _Places:
    return [places[0][at]], places[1][[at]], None, None


def _described_frames(
    source: FrameSource | Sequence[Frame], describer: Describer, stats: SelectionStats, progress: Progress | None
) -> Iterator[_Places]:
    """All database frames, described some at a time."""
    frames = source if isinstance(source, Sequence) else list(source.split("database"))
    skipped: list[str] = []
    for positions, descriptors, images in describer.describe_frames(frames, skipped):
        small = images and [thumbnail(image) for image in images]
        yield [frames[at] for at in positions], descriptors, small, _patches_of(images, describer)
        if progress:
            progress(positions[-1] + 1, len(frames))
    stats.frames = stats.tried = len(frames)
    stats.taken = len(frames) - len(skipped)
    if not isinstance(source, Sequence):
        for line in skipped:
            source.skip_counts.add(UNREADABLE, line)


def _described_keyframes(frames: Iterator[Frame], describer: Describer, name: str) -> Iterator[_Places]:
    """Keyframes, described one at a time: a robot that sees the same image later gets exactly the same descriptor."""
    described = (_described(frame, describer, name) for frame in frames)
    while batch := list(islice(described, _BATCH)):
        places, rows, images, patches = zip(*batch, strict=True)
        yield places, np.stack(rows), images, [one[0] for one in patches] if describer.keep_patches else None


def _described(frame: Frame, describer: Describer, name: str) -> tuple[Frame, NDArray[np.float32], Image, Any]:
    image = image_of(frame)
    labeled = replace(frame, label=f"{name}/{frame.label.lstrip('/')}", image=None, decode=None)
    row = describer.describe(image)
    return labeled, row, thumbnail(image), _patches_of([image], describer)  # not the whole image, which may be large


def _patches_of(images: Sequence[Image] | None, describer: Describer) -> list[NDArray[np.float16]] | None:
    """Of the images described last, if they were kept: float16 [h * w, c] each."""
    if images is None or not describer.keep_patches:
        return None
    return [describer.patches(image).astype(np.float16) for image in images]
