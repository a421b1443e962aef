"""The NetVLAD ``dbStruct``: a MATLAB file that lists the images of a place recognition set and where each was taken.

Written by R. Arandjelovic (NetVLAD, CVPR 2016) for Pitts30k, Pitts250k, Tokyo 24/7 and Tokyo Time Machine. The images are in folders
beside it, which users unpack in different places; see ``DATABASE_FOLDERS``.
"""

from pathlib import Path
from typing import Any

import numpy as np

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
    (database, queries), paths = _find(mat, names)
    frames, notes = list[Frame](), list[str]()
    try:
        counts, tolerance = (int(struct.numImages), int(struct.numQueries)), float(struct.posDistThr)
        utm = [np.asarray(values, np.float64).reshape(2, -1).T.tolist() for values in (struct.utmDb, struct.utmQ)]
        for split, *columns in zip(("database", "query"), names, paths, utm, strict=True):
            for name, path, (east, north) in zip(*columns, strict=True):
                frames.append(Frame(label=name, path=path, pose=Pose(east, north), split=split))
    except (TypeError, ValueError) as error:
        raise VprError(f"{mat}: expected 2 x n numbers in utmDb and utmQ, one column an image ({error})") from error
    found = len(names[0]), len(names[1])
    if counts != found or not all(found):
        raise VprError(
            f"{mat}: numImages and numQueries are {counts[0]} and {counts[1]}, but {found[0]} database images and {found[1]} queries are "
            "listed; expected as many, and at least one of each"
        )
    check_meters(mat, "utmDb and utmQ", [(f.pose.x, f.pose.y) for f in frames if f.pose is not None], notes)
    kind = f"dbStruct, database images in {database}, query images in {queries}"
    return FrameSet(mat, kind, tuple(frames), Tolerance("meters", tolerance), notes=notes)


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
