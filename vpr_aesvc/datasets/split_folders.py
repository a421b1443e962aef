"""A folder with one folder of database images and one of query images, under the names that the field uses.

VPR-datasets-downloader names the images with fifteen fields: ``@utm_east@utm_north@zone@letter@lat@lon@pano_id@tile_num@heading@pitch@
roll@height@timestamp@note@extension``. Only the first two are needed.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vpr_aesvc.datasets.exif_gps import hold_gps
from vpr_aesvc.datasets.folder import list_folder
from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.datasets.positions import located, utm_pose
from vpr_aesvc.datasets.positives import METERS
from vpr_aesvc.errors import VprError
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


def read_split_folders(root: Path, database: Path, queries: Path) -> FrameSet:
    """Database frames, then query frames, labeled by folder and name, with the poses that ``located`` finds, all in one frame.

    Raises:
        VprError: a folder holds no image, or the names hold degrees.
    """
    frames: list[Frame] = []
    images = FrameSet(root, f"folders {database} and {queries}", ())
    for split, folder in (("database", database), ("query", queries)):
        found = list_folder(folder)
        frames += (replace(frame, label=f"{folder.name}/{frame.label}", split=split) for frame in found.frames)
        images.notes += found.notes
        images.skip_counts.include(found.skip_counts)
    return located(replace(images, frames=tuple(frames)))


def tells_positions(folder: Path) -> bool:
    """Whether names hold UTM, or photos GPS."""
    return any(utm_pose(path.name) for path in folder.rglob("@*")) or hold_gps(list(folder.rglob("*")))


def utm_folders(root: Path) -> tuple[Path, Path] | None:
    """The database folder and the query folder of the test split below ``root``; None if they or the coordinates are missing."""
    folders = split_folders(root)
    return folders if folders is not None and tells_positions(folders[0]) else None


def read_utm_folders(root: Path) -> FrameSet:
    """Database frames, then query frames, with poses; a database frame within 25 m is a right answer.

    Raises:
        VprError: a folder is missing or holds no image, or the names hold degrees.
    """
    folders = utm_folders(root)
    if folders is None:
        raise VprError(f"{root}: expected images/test/database and images/test/queries, or database and queries, in it")
    return replace(read_split_folders(root, *folders), stated=METERS)


def name_field(name: str, field: int) -> str:
    """One field of a name: 7 is the panorama, 8 the tile in it, 14 the note; empty if missing."""
    fields = name.split("@")
    return fields[field] if len(fields) > field else ""
