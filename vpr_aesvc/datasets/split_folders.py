"""A folder with one folder of database images and one of query images, under the names that the field uses.

VPR-datasets-downloader names the images with fifteen fields: ``@utm_east@utm_north@zone@letter@lat@lon@pano_id@tile_num@heading@pitch@
roll@height@timestamp@note@extension``. Only the first two are needed.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vpr_aesvc.datasets.folder import read_folder, utm_pose
from vpr_aesvc.datasets.frameset import FrameSet
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
    """Database frames, then query frames, labeled by folder and name, with poses if all names of a folder have them.

    Raises:
        VprError: a folder holds no image.
    """
    frames: list[Frame] = []
    images = FrameSet(root, f"folders {database} and {queries}", ())
    for split, folder in (("database", database), ("query", queries)):
        found = read_folder(folder)
        frames += (replace(frame, label=f"{folder.name}/{frame.label}", split=split) for frame in found.frames)
        images.notes += found.notes
        images.skip_counts.include(found.skip_counts)
    return replace(images, frames=tuple(frames))


def utm_folders(root: Path) -> tuple[Path, Path] | None:
    """The database folder and the query folder of the test split below ``root``; None if they or the coordinates are missing."""
    folders = split_folders(root)
    if folders is None or not any(utm_pose(path.name) for path in folders[0].rglob("@*")):
        return None
    return folders


def read_utm_folders(root: Path) -> FrameSet:
    """Database frames, then query frames, each with its pose; a database frame within 25 m is a right answer.

    Raises:
        VprError: a folder is missing or holds no image, or a name has no coordinates.
    """
    folders = utm_folders(root)
    if folders is None:
        raise VprError(f"{root}: expected images/test/database and images/test/queries, or database and queries, in it")
    images = read_split_folders(root, *folders)
    frames: list[Frame] = []
    for frame in images.frames:
        pose = frame.pose or utm_pose(Path(frame.label).name)
        if pose is None:
            raise VprError(f"{frame.path}: expected a name such as @0584825.96@4476945.61@17@T@...@.jpg with its UTM")
        frames.append(replace(frame, pose=pose))
    return replace(images, kind=f"UTM {images.kind}", frames=tuple(frames), stated=METERS)


def name_field(name: str, field: int) -> str:
    """One field of a name: 7 is the panorama, 8 the tile in it, 14 the note; empty if missing."""
    fields = name.split("@")
    return fields[field] if len(fields) > field else ""
