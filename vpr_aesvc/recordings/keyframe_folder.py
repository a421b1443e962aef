"""Keyframes of a recording as files, for what needs all of them at once, such as training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from vpr_aesvc.errors import VprError
from vpr_aesvc.images import encode_jpeg
from vpr_aesvc.recordings.keyframes import KeyframeSettings
from vpr_aesvc.recordings.recording import Recording
from vpr_aesvc.recordings.selection import Seen, keyframes, name_of, nothing_found
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
