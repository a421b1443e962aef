"""Finds the folder of the images that a published list names: users unpack them in different places."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

_SAMPLE = 20  # names tried in each folder; a few missing files do not hide the right folder


def find_images(names: Sequence[str], folders: Sequence[Path], suffixes: Sequence[str] = ()) -> tuple[Path, list[Path]]:
    """The folder that holds these images, and the path of each.

    Args:
        names: relative to that folder.
        folders: candidates, the most probable first. The first is taken if none holds an image, so that a check can name what is missing.
        suffixes: other endings that the files may have, such as ``.png``.
    """
    step = max(1, len(names) // _SAMPLE)
    sample = [*names[::step][:_SAMPLE], *names[-1:]]
    best, most = (folders[0], ""), 0
    for folder in folders:
        for suffix in ("", *suffixes):
            found = sum(os.path.isfile(_path(folder, name, suffix)) for name in sample)  # noqa: PTH113 - False for a name that is too long
            if found > most:
                best, most = (folder, suffix), found
    return best[0], [_path(best[0], name, best[1]) for name in names]


def _path(folder: Path, name: str, suffix: str) -> Path:
    path = folder / name
    return path.with_suffix(suffix) if suffix else path
