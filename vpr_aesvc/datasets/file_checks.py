"""What a set of images is checked for: rows and files that are there twice, and pictures of more than 8 bits.

A place that is stored twice hides itself: its twin is as similar as it is.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.deep_images import NOTE
from vpr_aesvc.errors import VprError
from vpr_aesvc.images import MAX_BYTES, MAY_BE_DEEP, stored_pixels_of
from vpr_aesvc.types import Frame

_LOOKED_AT = 8  # pictures, spread over the set
_TAIL = 4096  # bytes
_MANY = 20_000  # files; more are not compared, because that takes seconds


def checked(images: FrameSet) -> FrameSet:
    """Leaves out and counts rows that repeat an earlier row. A note tells of rows that share an image but differ, and of files with equal
    bytes; both stay. One image may be in the database and among the queries. A note tells of more than 8 bits, by a few of the images."""
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
    twins = _equal_files(paths) if len(paths) <= _MANY else []
    if twins:
        count, example = sum(map(len, twins)) - len(twins), f"{twins[0][1]} and {twins[0][0]}"
        images.notes.append(f"{count} images have the same bytes as another one: {example}{' ...' * (count > 1)}")
    deep = [path for path in paths if path.suffix.lower() in MAY_BE_DEEP]
    for at in np.unique(np.linspace(0, len(deep) - 1, _LOOKED_AT).astype(int)) if deep else ():
        with suppress(VprError):  # reported when it is read
            if stored_pixels_of(deep[at]).dtype != np.uint8:
                images.notes.append(NOTE)
                break
    return replace(images, frames=tuple(kept)) if len(kept) < len(images.frames) else images


def _equal_files(paths: list[Path]) -> list[list[Path]]:
    """Groups of files with equal bytes. Only files of equal size are opened, only those with equal ends are read."""
    keys: tuple[Callable[[Path], object], ...] = (_size, _tail, _digest)
    groups = [paths]
    for key in keys:
        parts: dict[object, list[Path]] = defaultdict(list)
        for number, path in ((number, path) for number, group in enumerate(groups) for path in group):
            try:
                parts[number, key(path)].append(path)
            except (OSError, ValueError):  # reported when it is read
                continue
        groups = [part for part in parts.values() if len(part) > 1]
    return groups


def _size(path: Path) -> int:
    size = path.stat().st_size if path.is_file() else 0
    if not 0 < size <= MAX_BYTES:
        raise OSError("nothing to compare, or too much")
    return size


def _tail(path: Path) -> bytes:
    with path.open("rb", buffering=0) as file:
        file.seek(max(0, file.seek(0, 2) - _TAIL))
        return file.read()


def _digest(path: Path) -> bytes:
    return hashlib.blake2b(path.read_bytes()).digest()
