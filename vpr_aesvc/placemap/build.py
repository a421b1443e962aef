"""Frames -> a new map, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.files import check_free
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
    output = Path(output)
    check_free(output, "map")
    partial = output.with_name(f".{output.name}.{os.getpid()}.partial")
    skipped: list[str] = []
    try:
        with PlaceMap.create(partial, describer) as place_map:
            for positions, descriptors, images in describer.describe_frames(frames, skipped):
                place_map.add([frames[at] for at in positions], descriptors, images, traverse)
                if progress:
                    progress(positions[-1] + 1, len(frames))
        try:
            os.link(partial, output)  # unlike a rename, never replaces a map that appeared meanwhile
        except FileExistsError:
            raise VprError(f"{output}: appeared while the map was built; it was left alone") from None
        except OSError:
            partial.rename(output)  # a file system without hard links
    except OSError as error:
        raise VprError(f"{output}: the map cannot be written ({error.strerror or error})") from error
    finally:
        for suffix in ("", "-wal", "-shm"):
            partial.with_name(partial.name + suffix).unlink(missing_ok=True)
    return skipped
