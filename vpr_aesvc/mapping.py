"""Frames, or the keyframes of a recording -> a new map: whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.describer import Describer
from vpr_aesvc.images import thumbnail
from vpr_aesvc.placemap.copies import new_file
from vpr_aesvc.placemap.placemap import DEFAULT_TRAVERSE, PlaceMap
from vpr_aesvc.types import Frame

if TYPE_CHECKING:
    from vpr_aesvc.keyframes.gate import KeyframeSettings
    from vpr_aesvc.keyframes.selection import Seen
    from vpr_aesvc.recordings.recording import Recording

_BATCH = 32  # places added at once; a transaction waits for the disk
_YEAR_2001 = 1e9  # a smaller stamp counts from the start of a run or a simulation


Progress = Callable[[int, int], None]


def build_map(
    frames: Sequence[Frame],
    describer: Describer,
    output: Path | str,
    traverse: str = DEFAULT_TRAVERSE,
    progress: Progress | None = None,
) -> list[str]:
    """Describes every frame and writes the map ``output``, built beside its final name and renamed.

    Args:
        traverse: names the traverse of frames that have no sequence.
        progress: called with (frames done, frames).

    Returns:
        one line for each frame that was skipped.

    Raises:
        VprError: the output exists, no image could be read, or the disk refuses.
    """
    skipped: list[str] = []
    with new_file(Path(output)) as partial, PlaceMap.create(partial, describer) as place_map:
        for positions, descriptors, images in describer.describe_frames(frames, skipped):
            place_map.add([frames[at] for at in positions], descriptors, images, traverse)
            if progress:
                progress(positions[-1] + 1, len(frames))
    return skipped


def build_map_of_recording(
    recording: Recording,
    describer: Describer,
    output: Path | str,
    settings: KeyframeSettings | None = None,
    traverse: str | None = None,
    progress: Progress | None = None,
) -> Seen:
    """Makes places of a recording's keyframes, in constant memory. They are described one at a time, so that a robot that sees the same
    image later gets the very same descriptor.

    Args:
        traverse: by default named after the recording.
        progress: called with (frames of the recording seen, frames it should have).

    Returns:
        what was seen; ``recording.skip_counts`` says what of it was of no use.

    Raises:
        VprError: the output exists, the recording is damaged or gives no keyframe, or the disk refuses.
    """
    from vpr_aesvc.keyframes.selection import Seen, keyframes, name_of, nothing_found

    seen, name = Seen(), traverse or name_of(recording.path)
    with new_file(Path(output)) as partial, PlaceMap.create(partial, describer) as place_map:
        chosen = keyframes(recording, settings, seen, progress)
        while batch := [_described(frame, describer) for frame in islice(chosen, _BATCH)]:
            if not len(place_map):
                _begin(place_map, recording, name, seen.first)
            frames = [replace(frame, label=f"{name}/{frame.label.lstrip('/')}", image=None) for frame, _ in batch]
            images = [frame.image for frame, _ in batch]
            place_map.add(frames, np.stack([descriptor for _, descriptor in batch]), images, name)
        if not seen.taken:
            raise nothing_found(recording)
    return seen


def _described(frame: Frame, describer: Describer) -> tuple[Frame, NDArray[np.float32]]:
    assert frame.image is not None
    return replace(frame, image=thumbnail(frame.image)), describer.describe(frame.image)


def _begin(place_map: PlaceMap, recording: Recording, name: str, first: float | None) -> None:
    started = first if first is not None and first >= _YEAR_2001 else None
    place_map.start_traverse(name, started, notes=f"{recording.kind} {recording.path.name}")
