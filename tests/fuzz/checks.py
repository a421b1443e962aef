"""What must hold for everything that a reader gives."""

from __future__ import annotations

import math
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from vpr_aesvc import InputOptions, open_input
from vpr_aesvc.errors import VprError
from vpr_aesvc.images import image_of
from vpr_aesvc.keyframes.selection import keyframes
from vpr_aesvc.types import FARTHEST, Frame

_FRAMES = 40  # read of one input


class Wrong(Exception):
    """A result that cannot be right."""


def require(condition: object, words: str) -> None:
    if not condition:
        raise Wrong(words)


def read_source(path: Path, options: InputOptions | None = None) -> list[object]:
    """Images that can be decoded, poses and stamps of an input."""
    return summary(open_input(path, options or InputOptions()))


def summary(source: Any) -> list[object]:
    images = poses = stamps = 0
    for frame in islice(source, _FRAMES):
        check_frame(frame)
        poses, stamps = poses + (frame.pose is not None), stamps + (frame.stamp is not None)
        with suppress(VprError):
            check_image(image_of(frame))
            images += 1
    require(len(source) >= 0 and all(map(str, source.notes)) and source.skip_counts.lines() is not None, "no notes")
    if source.is_recording:
        for frame in islice(keyframes(source), _FRAMES):
            check_frame(frame)
    return [images, poses, stamps]


def check_frame(frame: Frame) -> None:
    require(frame.stamp is None or math.isfinite(frame.stamp), f"stamp {frame.stamp}")
    require(frame.index is None or math.isfinite(frame.index), f"index {frame.index}")
    if frame.pose is not None:
        numbers = frame.pose.as_tuple()
        require(all(map(math.isfinite, numbers)) and abs(math.hypot(*numbers[3:]) - 1) < 0.02, f"pose {numbers}")
        require(max(map(abs, numbers[:3])) <= FARTHEST, f"position {numbers[:3]}")


def check_image(image: np.ndarray) -> None:
    require(
        image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 and image.size,
        f"image {image.dtype} {image.shape}",
    )


def check_rows(rows: np.ndarray, count: int) -> None:
    require(
        rows.dtype == np.float32 and rows.ndim == 2 and len(rows) == count and np.isfinite(rows).all(), f"rows {rows}"
    )
