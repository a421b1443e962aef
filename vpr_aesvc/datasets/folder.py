"""A folder of images, with poses if the names have them (``@utm_east@utm_north@...@.jpg``) or the photos have GPS."""

import os
import re
from pathlib import Path

from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.datasets.image_files import image_files
from vpr_aesvc.datasets.positions import located
from vpr_aesvc.errors import VprError
from vpr_aesvc.frame_source import SkipCounts
from vpr_aesvc.images import IMAGE_SUFFIXES
from vpr_aesvc.types import Frame


def read_folder(folder: Path) -> FrameSet:
    """All images below ``folder`` as ``list_folder`` gives them, with the poses that ``located`` finds.

    Raises:
        VprError: the folder holds no image, or the names hold degrees.
    """
    return located(list_folder(folder))


def list_folder(folder: Path) -> FrameSet:
    """All images below ``folder`` in natural order (``img2`` before ``img10``); see ``image_files`` for what is left out.

    Raises:
        VprError: the folder holds no image.
    """
    skip_counts, notes = SkipCounts(), list[str]()
    paths = image_files(folder, skip_counts, notes)
    if not paths:
        left_out = f"; left out: {'; '.join(skip_counts.lines())}" if skip_counts else ""
        raise VprError(f"{folder}: no images in this folder; looked for {', '.join(sorted(IMAGE_SUFFIXES))}{left_out}")
    paths.sort(key=lambda path: (natural(str(path.relative_to(folder))), str(path)))
    frames = tuple(Frame(label=_text(path.relative_to(folder)), path=path) for path in paths)
    return FrameSet(folder, "folder", frames, notes=notes, skip_counts=skip_counts)


def _text(path: Path) -> str:
    """The path as text that can be written anywhere, also if the file system has bytes that are not text."""
    return os.fsencode(path).decode("utf-8", "replace")


def natural(text: str) -> list[tuple[int, int, str]]:
    """A sort key under which ``img2`` comes before ``img10``."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", text)]
