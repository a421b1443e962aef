"""Sets of images: one file for each kind of layout. ``open_images`` finds the reader from the path."""

from pathlib import Path

from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.errors import VprError
from vpr_aesvc.images import IMAGE_SUFFIXES
from vpr_aesvc.types import Frame

__all__ = ["FrameSet", "open_images"]


def open_images(path: Path | str) -> FrameSet:
    """Frames of whatever ``path`` is: a ``frames.csv`` or a folder that holds one; a folder with folders of database and query
    images; a ``dbStruct`` file; a COLMAP model; a database of RTAB-Map; a folder of ``@utm_east@utm_north@...`` names; any folder of images (searched recursively, natural
    order); one image file. At most a few images are decoded here.

    Raises:
        VprError: the path is missing, holds no images, or its CSV is malformed; the message says which.
    """
    from vpr_aesvc.datasets.file_checks import checked

    return checked(_open(Path(path).expanduser()))


def _open(path: Path) -> FrameSet:
    from vpr_aesvc.datasets.catalog import with_splits
    from vpr_aesvc.datasets.colmap import is_colmap, read_colmap
    from vpr_aesvc.datasets.folder import read_folder
    from vpr_aesvc.datasets.rtabmap import read_rtabmap
    from vpr_aesvc.datasets.split_folders import read_split_folders, split_folders

    if not path.exists():
        raise VprError(f"{path}: no such file or folder; expected a folder of images or a frames.csv")
    if path.is_file() and path.suffix.lower() == ".db":
        return read_rtabmap(path)
    if is_colmap(path):
        return read_colmap(path)
    if path.is_dir() and not (path / "frames.csv").is_file():
        folders = split_folders(path)
        return read_folder(path) if folders is None else read_split_folders(path, *folders)
    found = with_splits(path)
    if found is not None:
        return found
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return FrameSet(path, "image", (Frame(label=path.name, path=path),))
    raise VprError(
        f"{path}: expected a folder of images, an image or a frames.csv, found a {path.suffix or 'suffixless'} file"
    )
