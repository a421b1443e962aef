"""What a set of images is checked for: rows that are there twice, and pictures of more than 8 bits.

A place that is stored twice hides itself: its twin is as similar as it is.
"""

from collections import Counter
from contextlib import suppress
from dataclasses import replace

import numpy as np

from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.deep_images import NOTE
from vpr_aesvc.errors import VprError
from vpr_aesvc.images import MAY_BE_DEEP, stored_pixels_of
from vpr_aesvc.types import Frame

_LOOKED_AT = 8  # pictures, spread over the set


def checked(images: FrameSet) -> FrameSet:
    """Leaves out and counts rows that repeat an earlier row. A note tells of rows that share an image but differ; they stay. One image may be in
    the database and among the queries. A note tells of more than 8 bits, by a few of the images."""
    kept: list[Frame] = []
    seen: set[str] = set()
    for frame in images.frames:
        row = repr(frame)
        if row in seen:
            images.skip_counts.add("rows that repeat an earlier row", frame.label)
            continue
        seen.add(row)
        kept.append(frame)
    listed = Counter((frame.path, frame.split) for frame in kept if frame.path is not None)
    paths = list(dict.fromkeys(path for path, _ in listed))
    again = sum(listed.values()) - len(listed)
    if again:
        images.notes.append(f"{again} rows list an image that another row of the same split lists too")
    deep = [path for path in paths if path.suffix.lower() in MAY_BE_DEEP]
    for at in np.unique(np.linspace(0, len(deep) - 1, _LOOKED_AT).astype(int)) if deep else ():
        with suppress(VprError):  # reported when it is read
            if stored_pixels_of(deep[at]).dtype != np.uint8:
                images.notes.append(NOTE)
                break
    return replace(images, frames=tuple(kept)) if len(kept) < len(images.frames) else images
