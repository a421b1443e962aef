"""Keyframes of a recording as image files, for steps that need all of them at once, such as training."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from vpr_aesvc.errors import VprError
from vpr_aesvc.files import write_file
from vpr_aesvc.frame_source import FrameSource
from vpr_aesvc.images import encode_jpeg
from vpr_aesvc.keyframes.gate import KeyframeSettings
from vpr_aesvc.keyframes.selection import SelectionStats, keyframes, name_of, nothing_found
from vpr_aesvc.transforms import heading
from vpr_aesvc.types import Frame

_QUALITY = 95  # the JPEG loss is far below the change between two visits


def write_keyframes(
    recording: FrameSource,
    folder: Path,
    settings: KeyframeSettings | None = None,
    stats: SelectionStats | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Frame]:
    """Writes the keyframes into an existing folder, as ``000001.jpg`` and so on.

    Returns:
        frames in the order recorded, labeled with the file names; their sequence is the name of the recording.

    Raises:
        VprError: the recording is damaged, has no keyframe, or a file cannot be written.
    """
    frames: list[Frame] = []
    name = name_of(recording.path)
    for number, frame in enumerate(keyframes(recording, settings, stats, progress), 1):
        if frame.image is None:
            continue
        path = folder / f"{number:06d}.jpg"
        try:
            path.write_bytes(encode_jpeg(frame.image, _QUALITY))
        except OSError as error:
            raise VprError(f"{path}: the image cannot be written ({error.strerror or error})") from error
        frames.append(replace(frame, label=path.name, path=path, image=None, sequence=name, index=float(number)))
    if not frames:
        raise nothing_found(recording)
    return frames


def write_table(frames: Iterable[Frame], path: Path) -> None:
    """Writes ``frames.csv`` for frames of ``write_keyframes``. Of a pose it holds x, y and the heading.

    Raises:
        VprError: the file cannot be written.
    """
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["path", "split", "sequence", "index", "stamp", "easting", "northing", "heading"])
    for frame in frames:
        pose = () if frame.pose is None else (frame.pose.x, frame.pose.y, heading(frame.pose))
        columns = [f"{number:.6f}" for number in pose] or [""] * 3
        stamp = "" if frame.stamp is None else f"{frame.stamp:.6f}"
        table.writerow([frame.label, "database", frame.sequence, f"{frame.index:g}", stamp, *columns])
    write_file(path, text.getvalue().encode(), "table")
