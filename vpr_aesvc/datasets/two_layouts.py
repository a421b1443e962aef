"""A NetVLAD set in one of two layouts: as published, or as renamed by VPR-datasets-downloader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vpr_aesvc.datasets.canonical import canonical
from vpr_aesvc.datasets.dbstruct import DbStruct, load_dbstruct
from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.datasets.published_splits import Area, refuse_another_set
from vpr_aesvc.datasets.vpr_layout import read_utm_folders, utm_folders
from vpr_aesvc.errors import VprError

_STRUCT_FOLDERS = ("", "datasets", "raw_data", "raw_data/datasets")


def in_two_layouts(title: str, mat: str, area: Area, counts: tuple[int, int]) -> Callable[[Path], FrameSet | None]:
    """A reader of one set; it returns None if neither layout is there.

    Args:
        title: name of the set, for errors.
        mat: name of the ``dbStruct`` file, with a ``*`` where the names of copies differ.
        area: where the images were taken.
        counts: number of database images and of queries.
    """

    def read(root: Path) -> FrameSet | None:
        struct = _struct(root, mat, title)
        # A .mat without images must not hide the folders of the other layout.
        renamed = utm_folders(root) if root.is_dir() else None
        if struct is not None:
            frames = struct.frames()
            if renamed is None or any(frame.path and frame.path.is_file() for frame in frames.frames):
                refuse_another_set(frames, title, area, counts, struct.which)
                return canonical(frames)
        if renamed is None:
            return None
        frames = read_utm_folders(root)
        refuse_another_set(frames, title, area, counts)
        return canonical(frames)

    return read


def _struct(root: Path, pattern: str, title: str) -> DbStruct | None:
    """The dbStruct file below ``root``, or ``root`` itself."""
    if root.is_file():
        return load_dbstruct(root) if root.suffix.lower() == ".mat" else None
    folders = [root / name for name in _STRUCT_FOLDERS]
    for name in (pattern.replace("*", ""), pattern):
        for folder in folders:
            found = sorted(folder.glob(name))
            if found:
                return load_dbstruct(found[0])
    others = sorted(path for folder in folders for path in folder.glob("*.mat"))
    if others and utm_folders(root) is None:
        names = ", ".join(path.name for path in others[:10])
        raise VprError(f"{others[0].parent}: expected {pattern.replace('*', '')} ({title}), found only {names}")
    return None
