"""Folders ``database`` and ``queries`` of ``@utm_east@utm_north@...`` names, as VPR-datasets-downloader makes them.

A name has fifteen fields: ``@utm_east@utm_north@zone@letter@lat@lon@pano_id@tile_num@heading@pitch@roll@height@timestamp@
note@extension``; only the first two are needed here.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vpr_aesvc.datasets.folder import read_folder, utm_pose
from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.datasets.positives import METRES
from vpr_aesvc.errors import VprError
from vpr_aesvc.types import Frame

# Older versions of the downloader called the database of Tokyo 24/7 "gallery".
_BASES, _DATABASES = ("images/test", "test", "images", ""), ("database", "gallery")


def utm_folders(root: Path) -> tuple[Path, Path] | None:
    """The database folder and the query folder of the test split below ``root``, or None where they are not there."""
    for base in _BASES:
        for name in _DATABASES:
            database, queries = root / base / name, root / base / "queries"
            if database.is_dir() and queries.is_dir():
                return database, queries
    return None


def read_utm_folders(root: Path) -> FrameSet:
    """Database frames, then query frames, each with its pose; a database frame within 25 m is a right answer.

    Raises:
        VprError: a folder is missing or holds no image, or a name carries no coordinates.
    """
    folders = utm_folders(root)
    if folders is None:
        raise VprError(f"{root}: expected images/test/database and images/test/queries, or database and queries, in it")
    frames: list[Frame] = []
    for split, folder in zip(("database", "query"), folders, strict=True):
        for frame in read_folder(folder).frames:
            pose = frame.pose or utm_pose(Path(frame.label).name)
            if pose is None:
                raise VprError(
                    f"{frame.path}: expected a name such as @0584825.96@4476945.61@17@T@...@.jpg with its UTM"
                )
            frames.append(replace(frame, label=f"{folder.name}/{frame.label}", pose=pose, split=split))
    return FrameSet(root, f"UTM folders {folders[0]} and {folders[1]}", tuple(frames), METRES)


def name_field(name: str, field: int) -> str:
    """One field of a name: 7 is the panorama, 8 the tile in it, 14 the note; empty where it is not there."""
    fields = name.split("@")
    return fields[field] if len(fields) > field else ""
