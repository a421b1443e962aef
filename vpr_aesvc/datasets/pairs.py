"""Aligned pairs: ``query/0001.jpg`` shows the place of ``ref/0001.jpg`` (Nordland, SPED, Gardens Point and others)."""

from __future__ import annotations

from pathlib import Path

from vpr_aesvc.datasets.exif_gps import hold_gps
from vpr_aesvc.datasets.folder import list_folder
from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.datasets.positions import utm_pose
from vpr_aesvc.datasets.positives import Tolerance
from vpr_aesvc.datasets.split_folders import split_folders
from vpr_aesvc.errors import VprError
from vpr_aesvc.types import Frame


def pair_folders(root: Path) -> tuple[Path, Path] | None:
    """The reference folder and the query folder below ``root``; None if they are missing, or tell positions and the names are not equal."""
    folders = split_folders(root)
    if folders is None or any(utm_pose(path.name) for path in folders[1].rglob("@*")):
        return None
    queries = list(folders[1].rglob("*"))
    if not hold_gps(queries):
        return folders
    reference = {path.stem for path in folders[0].rglob("*")}
    return folders if all(path.stem in reference for path in queries) else None


def read_pairs(root: Path) -> FrameSet:
    """Reference frames, then query frames, in one ``sequence``. ``index`` is the position of the reference image in natural order.

    Only the image of the same name is right: neighbors in SPED are different places. For one drive, such as Nordland, where the field
    allows 1 to 10 frames, use a ``frames.csv``.

    Raises:
        VprError: a folder is missing or has no image, two reference images have the same name, or a query has no partner.
    """
    folders = pair_folders(root)
    if folders is None:
        raise VprError(f"{root}: expected the folders query and ref in it, with images of equal names")
    reference, queries = (list_folder(folder).frames for folder in folders)
    position: dict[str, int] = {}
    for frame in reference:
        if _stem(frame) in position:
            raise VprError(f"{frame.path}: another image in {folders[0]} has this name; expected one of each")
        position[_stem(frame)] = len(position)
    alone = [frame.label for frame in queries if _stem(frame) not in position]
    if alone:
        more = f" and {len(alone) - 1} more" if len(alone) > 1 else ""
        raise VprError(f"{folders[1]}: {alone[0]}{more} has no image of the same name in {folders[0]}")
    made = tuple(
        Frame(
            label=f"{folder.name}/{frame.label}",
            path=frame.path,
            sequence=root.name,
            index=float(position[_stem(frame)]),
            split=split,
        )
        for split, folder, part in (("database", folders[0], reference), ("query", folders[1], queries))
        for frame in part
    )
    return FrameSet(root, f"aligned pairs in {folders[0]} and {folders[1]}", made, Tolerance("frames", 0.0))


def _stem(frame: Frame) -> str:
    return str(Path(frame.label).with_suffix(""))
