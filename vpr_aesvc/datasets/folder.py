"""A folder of images, with poses if the names have them (``@utm_east@utm_north@...@.jpg``)."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.datasets.image_files import image_files
from vpr_aesvc.errors import VprError
from vpr_aesvc.frame_source import SkipCounts
from vpr_aesvc.images import IMAGE_SUFFIXES
from vpr_aesvc.types import Frame, Pose


def read_folder(folder: Path) -> FrameSet:
    """All images below ``folder`` in natural order (``img2`` before ``img10``); see ``image_files`` for what is left out.

    If every name follows the convention of VPR-datasets-downloader, each frame gets a pose: east and north in meters.

    Raises:
        VprError: the folder holds no image.
    """
    skip_counts, notes = SkipCounts(), list[str]()
    paths = image_files(folder, skip_counts, notes)
    if not paths:
        left_out = f"; left out: {'; '.join(skip_counts.lines())}" if skip_counts else ""
        raise VprError(f"{folder}: no images in this folder; looked for {', '.join(sorted(IMAGE_SUFFIXES))}{left_out}")
    paths.sort(key=lambda path: (natural(str(path.relative_to(folder))), str(path)))
    poses = [utm_pose(path.name) for path in paths]
    has_poses = all(pose is not None for pose in poses)
    frames = tuple(
        Frame(label=_text(path.relative_to(folder)), path=path, pose=pose if has_poses else None)
        for path, pose in zip(paths, poses, strict=True)
    )
    return FrameSet(folder, "UTM folder" if has_poses else "folder", frames, notes=notes, skip_counts=skip_counts)


def _text(path: Path) -> str:
    """The path as text that can be written anywhere, also if the file system has bytes that are not text."""
    return os.fsencode(path).decode("utf-8", "replace")


def utm_pose(name: str) -> Pose | None:
    """``@0218047.08@2472431.44@50@Q@...`` -> its pose in UTM meters, or None for other names."""
    fields = name.split("@")
    if len(fields) < 4 or fields[0]:
        return None
    try:
        east, north = float(fields[1]), float(fields[2])
    except ValueError:
        return None
    return Pose(east, north) if math.isfinite(east) and math.isfinite(north) else None


def natural(text: str) -> list[tuple[int, int, str]]:
    """A sort key under which ``img2`` comes before ``img10``."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", text)]
