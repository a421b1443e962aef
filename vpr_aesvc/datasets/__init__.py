"""Sets of images: one file for each kind of layout. ``open_images`` finds the reader from the path."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np

from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.deep_images import NOTE
from vpr_aesvc.errors import VprError
from vpr_aesvc.images import IMAGE_SUFFIXES, stored_pixels
from vpr_aesvc.pillow_images import PHONE_SUFFIXES
from vpr_aesvc.types import Frame

__all__ = ["FrameSet", "open_images"]


def open_images(path: Path | str) -> FrameSet:
    """Frames of whatever ``path`` is: a ``frames.csv`` or a folder that holds one; a folder with folders of database and query
    images; a ``dbStruct`` file; a folder of ``@utm_east@utm_north@...`` names; any folder of images (searched recursively, natural
    order); one image file. At most a few images are decoded here.

    Raises:
        VprError: the path is missing, holds no images, or its CSV is malformed; the message says which.
    """
    from vpr_aesvc.datasets.repeats import without_repeats

    images = without_repeats(_open(Path(path).expanduser()))
    first = images.frames[0].path
    if first is not None and first.suffix.lower() in (".png", ".tif", ".tiff", ".pgm", ".ppm"):
        with suppress(VprError, OSError):  # reported when it is read
            if stored_pixels(first.read_bytes(), str(first)).dtype != np.uint8:
                images.notes.append(NOTE)
    return images


def _open(path: Path) -> FrameSet:
    from vpr_aesvc.datasets.catalog import with_splits
    from vpr_aesvc.datasets.folder import read_folder
    from vpr_aesvc.datasets.split_folders import read_split_folders, split_folders

    if not path.exists():
        raise VprError(f"{path}: no such file or folder; expected a folder of images or a frames.csv")
    if path.is_dir() and not (path / "frames.csv").is_file():
        folders = split_folders(path)
        return read_folder(path) if folders is None else read_split_folders(path, *folders)
    found = with_splits(path)
    if found is not None:
        return found
    if path.suffix.lower() in IMAGE_SUFFIXES or path.suffix.lower() in PHONE_SUFFIXES:
        return FrameSet(path, "image", (Frame(label=path.name, path=path),))
    raise VprError(
        f"{path}: expected a folder of images, an image or a frames.csv, found a {path.suffix or 'suffixless'} file"
    )
