"""Keyframes of a recording as files, for what needs all of them at once, such as training."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from vpr_aesvc.errors import VprError
from vpr_aesvc.files import write_file
from vpr_aesvc.images import encode_jpeg
from vpr_aesvc.keyframes.gate import KeyframeSettings
from vpr_aesvc.keyframes.selection import Seen, keyframes, name_of, nothing_found
from vpr_aesvc.recordings.recording import Recording
from vpr_aesvc.transforms import heading
from vpr_aesvc.types import Frame

_QUALITY = 95  # what is lost lies far below what another visit changes


def write_keyframes(
    recording: Recording,
    folder: Path,
    settings: KeyframeSettings | None = None,
    seen: Seen | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Frame]:
    """Writes the keyframes into a folder that is there, as ``000001.jpg`` and so on.

    Returns:
        frames with the files' names as labels, in the order they were recorded; the recording is their sequence.

    Raises:
        VprError: the recording is damaged or gives no keyframe, or the disk refuses.
    """
    found: list[Frame] = []
    name = name_of(recording.path)
    for number, frame in enumerate(keyframes(recording, settings, seen, progress), 1):
        if frame.image is None:
            continue
        path = folder / f"{number:06d}.jpg"
        try:
            path.write_bytes(encode_jpeg(frame.image, _QUALITY))
        except OSError as error:
            raise VprError(f"{path}: the image cannot be written ({error.strerror or error})") from error
        found.append(replace(frame, label=path.name, path=path, image=None, sequence=name, index=float(number)))
    if not found:
        raise nothing_found(recording)
    return found


def write_table(frames: Iterable[Frame], path: Path) -> None:
    """``frames.csv`` of frames that :func:`write_keyframes` gave, beside their images: x, y and heading are what it holds of a pose.

    Raises:
        VprError: the disk refuses.
    """
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["path", "split", "sequence", "index", "stamp", "easting", "northing", "heading"])
    for frame in frames:
        pose = () if frame.pose is None else (frame.pose.x, frame.pose.y, heading(frame.pose))
        words = [f"{number:.6f}" for number in pose] or [""] * 3
        stamp = "" if frame.stamp is None else f"{frame.stamp:.6f}"
        table.writerow([frame.label, "database", frame.sequence, f"{frame.index:g}", stamp, *words])
    write_file(path, text.getvalue().encode(), "table")
