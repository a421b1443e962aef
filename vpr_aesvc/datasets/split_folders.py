"""A folder with one folder of database images and one of query images, under the names that the field uses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vpr_aesvc.datasets.folder import read_folder
from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.types import Frame

# Older versions of VPR-datasets-downloader called the database of Tokyo 24/7 "gallery".
_BASES = ("images/test", "test", "images", "")
_DATABASES, _QUERIES = ("database", "gallery", "ref", "reference", "references"), ("queries", "query")


def split_folders(root: Path) -> tuple[Path, Path] | None:
    """The database folder and the query folder below ``root``, or None."""
    for base in _BASES:
        for database in _DATABASES:
            for queries in _QUERIES:
                folders = root / base / database, root / base / queries
                if all(folder.is_dir() for folder in folders):
                    return folders
    return None


def read_split_folders(database: Path, queries: Path) -> tuple[Frame, ...]:
    """Database frames, then query frames, labeled by folder and name, with poses if all names of a folder have them.

    Raises:
        VprError: a folder holds no image.
    """
    return tuple(
        replace(frame, label=f"{folder.name}/{frame.label}", split=split)
        for split, folder in (("database", database), ("query", queries))
        for frame in read_folder(folder).frames
    )


def read_any_split(root: Path, database: Path, queries: Path) -> FrameSet:
    """The frames of both folders, with or without ground truth."""
    return FrameSet(root, f"folders {database} and {queries}", read_split_folders(database, queries))
