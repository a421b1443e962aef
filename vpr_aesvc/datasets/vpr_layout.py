"""Folders ``database`` and ``queries`` of ``@utm_east@utm_north@...`` names, as VPR-datasets-downloader makes them.

A name has fifteen fields: ``@utm_east@utm_north@zone@letter@lat@lon@pano_id@tile_num@heading@pitch@roll@height@timestamp@
note@extension``; only the first two are needed here.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vpr_aesvc.datasets.folder import utm_pose
from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.datasets.positives import METERS
from vpr_aesvc.datasets.split_folders import read_split_folders, split_folders
from vpr_aesvc.errors import VprError
from vpr_aesvc.types import Frame


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
    frames: list[Frame] = []
    for frame in read_split_folders(*folders):
        pose = frame.pose or utm_pose(Path(frame.label).name)
        if pose is None:
            raise VprError(f"{frame.path}: expected a name such as @0584825.96@4476945.61@17@T@...@.jpg with its UTM")
        frames.append(replace(frame, pose=pose))
    return FrameSet(root, f"UTM folders {folders[0]} and {folders[1]}", tuple(frames), METERS)


def name_field(name: str, field: int) -> str:
    """One field of a name: 7 is the panorama, 8 the tile in it, 14 the note; empty if missing."""
    fields = name.split("@")
    return fields[field] if len(fields) > field else ""
