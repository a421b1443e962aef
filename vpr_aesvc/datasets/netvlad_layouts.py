"""Pitts30k and Tokyo 24/7 in their two layouts: as published, or as renamed by VPR-datasets-downloader. Both give one name and one order of the
images, so that a run on either gives the same results; another set is refused.

The published sets name an image ``000/000829_pitch1_yaw1.jpg``; VPR-datasets-downloader renames it to
``@0584825.96@4476945.61@17@T@040.43600@-080.00000@000829@00@@@@@@pitch1_yaw1@.jpg``. Both become ``database/000829_pitch1_yaw1``.
Coordinates stay as they are in each layout: the names round them to centimeters. On Pitts30k and Tokyo 24/7 this changes no right answer
within 25 m (a test computes it from the published coordinates). Tokyo 24/7 also has the time of day of a query and the panorama of a database image.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from vpr_aesvc.datasets.dbstruct import read_dbstruct
from vpr_aesvc.datasets.folder import natural
from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.datasets.positions import utm_pose
from vpr_aesvc.datasets.split_folders import name_field, read_utm_folders, utm_folders
from vpr_aesvc.errors import VprError
from vpr_aesvc.types import Frame

_TIMES = {"D": "day", "S": "sunset", "N": "night"}
_TABLES = ("", "247query_subset_v2", "247query_subset_v2/247query_subset_v2", "raw_data/tokyo247/247query_subset_v2")


def refuse_another_set(frames: FrameSet, title: str, counts: tuple[int, int]) -> None:
    """Raises VprError where there are more frames than the set has. A part of it is accepted, also with missing images."""
    queries = sum(frame.split == "query" for frame in frames.frames)
    found = len(frames) - queries, queries
    if found[0] > counts[0] or found[1] > counts[1]:
        raise VprError(
            f"{frames.path}: expected {title}, {counts[0]} database images and {counts[1]} queries; found another set or split, {found[0]} "
            f"database images and {found[1]} queries"
        )


def canonical(frames: FrameSet) -> FrameSet:
    """Renamed; database before queries, then by name in natural order, which is the order of Pitts30k's published lists."""
    renamed = (replace(frame, label=f"{frame.split}/{canonical_name(frame.label)}") for frame in frames.frames)
    return replace(frames, frames=tuple(sorted(renamed, key=_order)))


def canonical_name(label: str) -> str:
    """The name of an image without folders, coordinates and suffix."""
    name = Path(label).name
    if utm_pose(name) is None:
        found = cutout(name)
        return f"{found[0]}_{found[1]:02d}" if found else Path(name).stem
    # The downloader leaves the suffix in the panorama of the queries of Tokyo 24/7: ...@00399.jpg@@@@@@@@.jpg.
    panorama = name_field(name, 7).removesuffix(".jpg")
    detail = name_field(name, 14) or name_field(name, 8)
    return "_".join(part for part in (panorama, detail) if part) or Path(name).stem


def _order(frame: Frame) -> tuple[object, ...]:
    place = (frame.pose.x, frame.pose.y) if frame.pose else (0.0, 0.0)
    return frame.split != "database", natural(frame.label), frame.label, place


_STRUCT_FOLDERS = ("", "datasets", "raw_data", "raw_data/datasets")


def in_two_layouts(title: str, mat: str, counts: tuple[int, int]) -> Callable[[Path], FrameSet | None]:
    """A reader of one set; it returns None if neither layout is there.

    Args:
        title: name of the set, for errors.
        mat: name of the ``dbStruct`` file, with a ``*`` where the names of copies differ.
        counts: number of database images and of queries.
    """

    def read(root: Path) -> FrameSet | None:
        struct = _find_struct(root, mat, title)
        frames = None if struct is None else read_dbstruct(struct)
        # A .mat without images must not hide the folders of the other layout.
        if root.is_dir() and not (frames and any(frame.path and frame.path.is_file() for frame in frames.frames)):
            frames = read_utm_folders(root) or frames
        if frames is None:
            return None
        refuse_another_set(frames, title, counts)
        return canonical(frames)

    return read


def _find_struct(root: Path, pattern: str, title: str) -> Path | None:
    """The dbStruct file below ``root``, or ``root`` itself."""
    if root.is_file():
        return root if root.suffix.lower() == ".mat" else None
    folders = [root / name for name in _STRUCT_FOLDERS]
    for name in (pattern.replace("*", ""), pattern):
        for folder in folders:
            found = sorted(folder.glob(name))
            if found:
                return found[0]
    others = sorted(path for folder in folders for path in folder.glob("*.mat"))
    if others and utm_folders(root) is None:
        names = ", ".join(path.name for path in others[:10])
        raise VprError(f"{others[0].parent}: expected {pattern.replace('*', '')} ({title}), found only {names}")
    return None


def cutout(name: str) -> tuple[str, int] | None:
    """Panorama and tile of a published database name, ``<panorama>_012_<degrees>.png``; None for other names."""
    found = re.fullmatch(r"(.+)_012_(\d+)", Path(name).stem)
    # The published tool takes the first 22 characters: the length of a panorama's id.
    return (found[1][:22], int(found[2]) // 30) if found else None


def with_times_and_panoramas(frames: FrameSet, root: Path) -> FrameSet:
    """``extra["panorama"]`` of each database frame, ``extra["time"]`` (day, sunset, night) of each query.

    Labels must be ``canonical``. Only the sixth field of the ``.csv`` published with each query has the time;
    VPR-datasets-downloader does not keep it. Without the ``.csv`` there is no ``time``.
    """
    described = tuple(_described(frame, root) for frame in frames.frames)
    return replace(frames, frames=described, has_times_and_panoramas=True)


def _described(frame: Frame, root: Path) -> Frame:
    name = Path(frame.label).name
    if frame.split == "database":
        panorama, _, tile = name.rpartition("_")
        known = {"panorama": panorama} if panorama and tile.isdigit() else {}
    else:
        time = _time(name, frame.path, root)
        known = {"time": time} if time else {}
    return replace(frame, extra={**frame.extra, **known})


def _time(name: str, image: Path | None, root: Path) -> str | None:
    beside = [image.with_suffix(".csv")] if image else []
    for table in (*beside, *(root / folder / f"{name}.csv" for folder in _TABLES)):
        try:
            fields = table.read_text(encoding="utf-8", errors="replace").split("\n", 1)[0].split(",")
        except OSError:
            continue
        return _TIMES.get(fields[5].strip().upper()) if len(fields) > 5 else None
    return None
