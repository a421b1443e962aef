"""The NetVLAD ``dbStruct``: a MATLAB file that lists the images of a place recognition set and where each was taken.

Written by R. Arandjelovic (NetVLAD, CVPR 2016) for Pitts30k, Pitts250k, Tokyo 24/7 and Tokyo Time Machine. The images are in folders
beside it, which users unpack in different places; see ``DATABASE_FOLDERS``.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.datasets.image_files import find_images
from vpr_aesvc.datasets.positions import check_meters
from vpr_aesvc.datasets.positives import Tolerance
from vpr_aesvc.errors import VprError, require_installed
from vpr_aesvc.types import Frame, Pose

DATABASE_FOLDERS = ("", "images", "database", "tokyo247", "tokyo247/images", "database_gsv_vga", "Pittsburgh250k")
QUERY_FOLDERS = (
    "queries_real",
    "queries",
    "query",
    "247query_subset_v2",
    "247query_subset_v2/247query_subset_v2",
    "queries/247query_subset_v2",
    "query/247query_subset_v2",
    "tokyo247/247query_subset_v2",
    "247query_v3",
    "Pittsburgh250k/queries_real",
)
_FIELDS = ("dbImageFns", "utmDb", "qImageFns", "utmQ", "numImages", "numQueries", "posDistThr")


def read_dbstruct(mat: Path) -> FrameSet:
    """The frames of a ``dbStruct`` file with their poses: database first, each in the file's order. The images are looked for in the folder of
    the file and in the one above. They may be missing; ``kind`` of the result names their folder.

    Raises:
        VprError: scipy is missing, or the file is not a MATLAB file with a complete ``dbStruct``, or lists no queries.
    """
    struct = _load(mat)
    missing = [name for name in _FIELDS if not hasattr(struct, name)]
    if missing:
        raise VprError(
            f"{mat}: dbStruct has no field {', '.join(missing)}; found {', '.join(struct._fieldnames)}; "
            "expected the file published with NetVLAD"
        )
    names = _names(struct.dbImageFns), _names(struct.qImageFns)
    for field, found in (("numImages", len(names[0])), ("numQueries", len(names[1]))):
        count = _number(getattr(struct, field), mat, field)
        if count != found:
            raise VprError(f"{mat}: {field} is {count:g}, but {found} images are listed; the file is damaged")
        if not found:
            raise VprError(f"{mat}: {field} is 0; expected at least one database image and one query")
    utm = _utm(struct.utmDb, len(names[0]), mat, "utmDb"), _utm(struct.utmQ, len(names[1]), mat, "utmQ")
    notes: list[str] = []
    check_meters(mat, "utmDb and utmQ", np.concatenate(utm).tolist(), notes)
    (database, queries), paths = _find(mat, names)
    frames = [
        Frame(label=name, path=path, pose=_pose(mat, east, north, name), split=split)
        for split, *columns in zip(("database", "query"), names, paths, utm, strict=True)
        for name, path, (east, north) in zip(*columns, strict=True)
    ]
    kind = f"dbStruct, database images in {database}, query images in {queries}"
    tolerance = Tolerance("meters", _number(struct.posDistThr, mat, "posDistThr"))
    return FrameSet(mat, kind, tuple(frames), tolerance, notes=notes)


def _find(mat: Path, names: tuple[list[str], list[str]]) -> tuple[list[Path], list[list[Path]]]:
    """The folders of the database and of the query images, and the path of each image."""
    bases = [mat.parent, mat.parent.parent]
    if mat.parent.name == "datasets":  # as published: the images are beside this folder, not in it
        bases.reverse()
    folders = [[base / name for name in part for base in bases] for part in (DATABASE_FOLDERS, QUERY_FOLDERS)]
    database, queries = ({name.split("/")[0] for name in part} for part in names)
    if database.isdisjoint(queries):  # only then: Pitts250k has database images with the names of Pitts30k queries
        folders[1] += bases
    found = [find_images(part, some, (".png", ".jpg")) for part, some in zip(names, folders, strict=True)]
    return [folder for folder, _ in found], [paths for _, paths in found]


def _pose(mat: Path, east: float, north: float, name: str) -> Pose:
    try:
        return Pose(float(east), float(north))
    except ValueError as error:
        raise VprError(f"{mat}: the coordinates of {name}: {error}") from None


def _load(mat: Path) -> Any:
    require_installed(f"{mat}: reading a .mat file", "scipy.io")
    from scipy.io import loadmat

    if not mat.is_file():
        raise VprError(f"{mat}: no such file; expected a NetVLAD dbStruct (.mat)")
    try:
        content = loadmat(mat, struct_as_record=False, squeeze_me=True)
    except Exception as error:  # scipy raises many kinds of errors for damaged files, and documents none
        raise VprError(
            f"{mat}: cannot be read as a MATLAB file ({error or type(error).__name__}): if it is truncated or no "
            ".mat, download it again; if MATLAB 7.3 wrote it, save it again with `save(..., '-v7')`"
        ) from error
    struct = content.get("dbStruct")
    if not hasattr(struct, "_fieldnames"):
        found = ", ".join(sorted(name for name in content if not name.startswith("__"))) or "nothing"
        raise VprError(f"{mat}: expected a struct named dbStruct (NetVLAD), found {found}")
    return struct


def _names(cell: Any) -> list[str]:
    return [str(name).strip() for name in np.atleast_1d(cell)]


def _utm(values: Any, count: int, mat: Path, field: str) -> NDArray[np.float64]:
    """float64 [n, 2] east and north in meters."""
    try:
        utm = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise VprError(f"{mat}: {field} must be numbers, found {type(values).__name__}") from None
    if utm.ndim == 1 and utm.size == 2:
        utm = utm.reshape(2, 1)
    if utm.shape != (2, count):
        found = " x ".join(map(str, utm.shape))
        raise VprError(f"{mat}: {field} must be 2 x {count}, one column an image, found {found}")
    return utm.T


def _number(value: Any, mat: Path, field: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise VprError(f"{mat}: {field} must be one number, found {type(value).__name__}") from None
