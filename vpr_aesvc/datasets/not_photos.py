"""Depth images, masks and thumbnails among photos: left out if both their name and their look say so.

The name is that of a file or of a folder below the one that the user named. A few files of each such name are decoded, so a folder
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
    r"|(?P<mask>masks?|labels?|label_ids|seg|semseg|segmentations?|semantics?|panoptics?|instances?|annotations?|confidences?)"
    r"|(?P<thumbnail>thumbs?|thumbnails?|previews?)|(?P<short>d|z|ranges?))(?![a-z])"
)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_KINDS = {"depth": "depth images", "mask": "masks or label images", "thumbnail": "thumbnails", "short": "depth images"}
_WAY_OUT = "; to use them, rename them or list the images in a frames.csv"
_SAMPLES = 5  # pictures of a name that are looked at: all must have the look
_FEW = 64  # values that cover 99 % of a label image; a photo has thousands of colors
_FLAT = 0.8  # of the pixels of a label image equal their left neighbor; 0.6 in a dark photo with few values
_MAP_COLORS = 256  # of a color map; 8 pixels or more for each


def photos(folder: Path, paths: list[Path], skip_counts: SkipCounts, notes: list[str]) -> list[Path]:
    """The paths without those that have the name and the look of depth images, masks or thumbnails; all of them if none would be left.

    Args:
        skip_counts: counts what is left out.
        notes: gets a sentence for pictures that are used though their name says that they are none.
    """
    ordinary: list[Path] = []
    suspects: dict[tuple[str, str], list[Path]] = defaultdict(list)
    of_folder: dict[Path, tuple[str, str] | None] = {}
    for path in paths:
        if path.parent not in of_folder:
            parts = path.parent.relative_to(folder).parts
            of_folder[path.parent] = next((found for part in reversed(parts) if (found := _named(part))), None)
        name = _named(path.stem) or of_folder[path.parent]
        (suspects[name] if name else ordinary).append(path)
    if not suspects:
        return paths
    named = {_key(path) for path in ordinary}
    beside = _sample(ordinary)
    left_out = {
        name
        for name, some in suspects.items()
        if _looks(name[0], _sample(some), beside, all(_key(path) in named for path in _chosen(some)))
    }
    kept = ordinary + [path for name, some in suspects.items() if name not in left_out for path in some]
    for key, some in suspects.items():
        kind, word = _KINDS[key[0]], key[1]
        if key[0] == "short" and key not in left_out:
            continue
        if key not in left_out or not kept:
            why = "they look like photos" if kept else "there are no others"
            notes.append(f"{len(some)} images are named like {kind} ({word}) but are used: {why}")
            continue
        for path in some:
            skip_counts.add(f"{kind}, by their name ({word}) and their look{_WAY_OUT}", str(path))
    return kept or paths


def _named(name: str) -> tuple[str, str] | None:
    """(kind, the word that tells) in the name of a file or folder."""
    found = _WORDS.search(_CAMEL.sub("_", name).lower())
    return (str(found.lastgroup), found[0]) if found else None


def _key(path: Path) -> tuple[str, ...]:
    """Equal for the pictures of one moment: the numbers in the name (``rgb_01``, ``01.depth``), or the name."""
    return tuple(re.findall(r"\d+", path.stem)) or (path.stem,)


def _chosen(paths: Sequence[Path]) -> list[Path]:
    return [paths[at] for at in np.linspace(0, len(paths) - 1, min(_SAMPLES, len(paths))).astype(int)]


def _sample(paths: Sequence[Path]) -> list[NDArray[Any]]:
    """Some pictures, evenly spaced, as they are stored; [] if none can be decoded."""
    pictures = []
    for path in _chosen(paths):
        with suppress(VprError):
            pictures.append(stored_pixels_of(path))
    return pictures


def _looks(kind: str, pictures: list[NDArray[Any]], ordinary: list[NDArray[Any]], paired: bool) -> bool:
    """Whether all pictures look like that kind, beside ordinary ones; ``paired``: those have the same names."""
    if kind == "thumbnail":
        longest = [max(picture.shape[:2]) for picture in ordinary]
        return bool(longest and pictures) and all(max(one.shape[:2]) * 2 <= np.median(longest) for one in pictures)
    beside_color = paired and any(not _is_gray(picture) for picture in ordinary)
    if not pictures or (kind == "short" and not beside_color):
        return False
    if kind == "mask":
        return all(_has_few_values(one) for one in pictures)
    return all(
        (_is_gray(one) and (one.dtype != np.uint8 or (kind == "depth" and beside_color)))
        or (kind == "depth" and _has_map_colors(one))
        for one in pictures
    )


def _is_gray(picture: NDArray[Any]) -> bool:
    return picture.ndim == 2 or (picture[:, :, :1] == picture[:, :, 1:3]).all()


def _counts(picture: NDArray[Any]) -> NDArray[np.int64]:
    """How many pixels have each color, the most frequent first."""
    channels = np.atleast_3d(picture)[:, :, :3].astype(np.int64)
    colors = channels @ (1 << 16 * np.arange(channels.shape[2]))
    return np.sort(np.unique(colors, return_counts=True)[1])[::-1]


def _has_map_colors(picture: NDArray[Any]) -> bool:
    """A depth image in the colors of a map."""
    return not _is_gray(picture) and len(_counts(picture)) <= min(_MAP_COLORS, picture.shape[0] * picture.shape[1] // 8)


def _has_few_values(picture: NDArray[Any]) -> bool:
    """A label image: few values, in large flat areas."""
    channels, counts = np.atleast_3d(picture).astype(np.float64), _counts(picture)
    # Noise of JPEG; none where few values lie close together, as in a dark photo.
    noise = np.ptp(np.percentile(channels, (1, 99))) // 80
    flat = (np.abs(np.diff(channels, axis=1)) <= noise).all(2)
    return bool(flat.size and flat.mean() >= _FLAT and counts[:_FEW].sum() >= 0.99 * counts.sum())
