"""Frames -> a new map, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from vpr_aesvc.describer import Describer
from vpr_aesvc.placemap.copies import new_file
from vpr_aesvc.placemap.placemap import DEFAULT_TRAVERSE, PlaceMap
from vpr_aesvc.types import Frame


def build_map(
    frames: Sequence[Frame],
    describer: Describer,
    output: Path | str,
    traverse: str = DEFAULT_TRAVERSE,
    progress: Callable[[int, int], None] | None = None,
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
