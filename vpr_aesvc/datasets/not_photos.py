"""Depth images and masks among photos: left out if both their name and their look say so.

The name is that of a file or of a folder below the one that the user named. A few files of each such folder are decoded, so a folder
``depth`` of color photos stays.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.frame_source import SkipCounts
from vpr_aesvc.images import stored_pixels_of

_WORDS = re.compile(
    r"(?<![a-z])(?:(?P<depth>(?:depths?|depthmaps?|disp|disparity|disparities)(?![ _-]?\d+ ?m(?![a-z])))"  # not 10 m deep
    r"|(?P<mask>masks?|labels?|label_ids|seg|semseg|segmentations?|semantics?|panoptics?|instances?))(?![a-z])"
)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_KINDS = {"depth": "depth images", "mask": "masks or label images"}
_WAY_OUT = "; to use them, rename them or list the images in a frames.csv"
_SAMPLES = 5  # pictures of a folder that are looked at: all must have the look
_FEW = 64  # colors of a label image; a photo has thousands, and a dark one with few values has noise


def photos(folder: Path, paths: list[Path], skip_counts: SkipCounts, notes: list[str]) -> list[Path]:
    """The paths without those that have the name and the look of depth images or masks; all of them if none would be left.

    Args:
        skip_counts: counts what is left out.
        notes: gets a sentence for pictures that are used though their name says that they are none.
    """
    kept: list[Path] = []
    suspects: dict[tuple[str, Path], list[Path]] = defaultdict(list)
    for path in paths:
        kind = next(
            (found for part in path.relative_to(folder).with_suffix("").parts[::-1] if (found := _kind(part))), ""
        )
        (suspects[kind, path.parent] if kind else kept).append(path)
    has_others = bool(kept)
    for (kind, place), some in suspects.items():
        if has_others and _looks(kind, some):
            for path in some:
                skip_counts.add(f"{_KINDS[kind]}, by their name and their look{_WAY_OUT}", str(path))
            continue
        why = "they look like photos" if has_others else "there are no others"
        notes.append(f"{len(some)} images in {place} are named like {_KINDS[kind]} but are used: {why}")
        kept += some
    return kept


def _kind(name: str) -> str:
    """``depth`` or ``mask`` for a name of a file or folder that says so, else empty."""
    found = _WORDS.search(_CAMEL.sub("_", name).lower())
    return str(found.lastgroup) if found else ""


def _looks(kind: str, paths: Sequence[Path]) -> bool:
    """Whether some of the pictures, evenly spaced, all look like that kind."""
    pictures = []
    for at in np.linspace(0, len(paths) - 1, min(_SAMPLES, len(paths))).astype(int):
        with suppress(VprError):
            pictures.append(stored_pixels_of(paths[at]))
    return bool(pictures) and all(map(_has_few_values if kind == "mask" else _is_depth, pictures))


def _is_depth(picture: NDArray[Any]) -> bool:
    """Gray of more than 8 bits."""
    is_gray = picture.ndim == 2 or (picture[:, :, :1] == picture[:, :, 1:3]).all()
    return bool(is_gray) and picture.dtype != np.uint8


def _has_few_values(picture: NDArray[Any]) -> bool:
    """A label image: few colors, in flat areas."""
    pixels = np.atleast_3d(picture)[:, :, :3]
    is_flat = (np.diff(pixels, axis=1) == 0).all(2).mean() >= 0.5
    return bool(is_flat) and len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) <= _FEW
