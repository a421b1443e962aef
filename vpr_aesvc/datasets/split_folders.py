"""A folder with one folder of database images and one of query images, under the names that the field uses.

VPR-datasets-downloader names the images with fifteen fields: ``@utm_east@utm_north@zone@letter@lat@lon@pano_id@tile_num@heading@pitch@
roll@height@timestamp@note@extension``. Only the first two are needed. Without positions, images of equal names show the same place: aligned pairs such
as ``query/0001.jpg`` and ``ref/0001.jpg`` (Nordland, SPED, Gardens Point and others).
"""

from dataclasses import replace
from pathlib import Path

from vpr_aesvc.datasets.folder import list_folder
from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.datasets.positions import located, utm_pose
from vpr_aesvc.datasets.positives import METERS, Tolerance
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


def utm_folders(root: Path) -> tuple[Path, Path] | None:
    """The database folder and the query folder of the test split below ``root``; None if they or the coordinates are missing."""
    folders = split_folders(root)
    return folders if folders is not None and any(utm_pose(path.name) for path in folders[0].rglob("@*")) else None


def read_utm_folders(root: Path) -> FrameSet | None:
    """Database frames, then query frames, with poses; a database frame within 25 m is a right answer. None where ``utm_folders`` is.

    Raises:
        VprError: a folder holds no image, or the names hold degrees.
    """
    folders = utm_folders(root)
    if folders is None:
        return None
    return replace(read_split_folders(root, *folders), stated=METERS)


def name_field(name: str, field: int) -> str:
    """One field of a name: 7 is the panorama, 8 the tile in it, 14 the note; empty if missing."""
    fields = name.split("@")
    return fields[field] if len(fields) > field else ""


def read_pairs(root: Path) -> FrameSet | None:
    """None where there are no such folders, or they tell positions. Reference frames, then query frames, in one ``sequence``. ``index`` is the position of the reference image in natural order.

    Only the image of the same name is right: neighbors in SPED are different places. For one drive, such as Nordland, where the field
    allows 1 to 10 frames, use a ``frames.csv``.

    Raises:
        VprError: a folder has no image, two reference images have the same name, or a query has no partner.
    """
    folders = split_folders(root)
    if folders is None or any(utm_pose(path.name) for path in folders[1].rglob("@*")):
        return None
    reference, queries = (list_folder(folder).frames for folder in folders)
    position: dict[str, int] = {}
    for frame in reference:
        if _stem(frame) in position:
            raise VprError(f"{frame.path}: another image in {folders[0]} has this name; expected one of each")
        position[_stem(frame)] = len(position)
    alone = [frame.label for frame in queries if _stem(frame) not in position]
    if alone:
        more = f" and {len(alone) - 1} more" if len(alone) > 1 else ""
        raise VprError(
            f"{folders[1]}: {alone[0]}{more} has no image of the same name in {folders[0]}; where names differ, a frames.csv tells the positions"
        )
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
