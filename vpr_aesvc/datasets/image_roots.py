"""Where the images are: published lists name them relative to a folder that every user lays out a little differently."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_SAMPLE = 20  # names tried in each folder; enough that a few missing files do not hide the right one


def find_images(names: Sequence[str], folders: Sequence[Path], suffixes: Sequence[str] = ()) -> tuple[Path, list[Path]]:
    """The folder that holds these images, and the path of each there.

    Args:
        names: relative to the folder looked for.
        folders: where it may be, the likeliest first. Where none holds any of the images the first is taken, so that a
            check can say what is missing from it.
        suffixes: what the files may end in instead of what their names say, such as ``.png``.
    """
    step = max(1, len(names) // _SAMPLE)
    sample = [*names[::step][:_SAMPLE], *names[-1:]]
    best, most = (folders[0], ""), 0
    for folder in folders:
        for suffix in ("", *suffixes):
            found = sum(_path(folder, name, suffix).is_file() for name in sample)
            if found > most:
                best, most = (folder, suffix), found
    return best[0], [_path(best[0], name, best[1]) for name in names]


def _path(folder: Path, name: str, suffix: str) -> Path:
    path = folder / name
    return path.with_suffix(suffix) if suffix else path
