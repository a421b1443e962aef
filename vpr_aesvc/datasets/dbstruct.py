"""The NetVLAD ``dbStruct``: a MATLAB file that lists the images of a place recognition set and where each was taken.

Written by R. Arandjelovic (NetVLAD, CVPR 2016) for Pitts30k, Pitts250k, Tokyo 24/7 and Tokyo Time Machine. The images are in folders
beside it, which users unpack in different places; see ``DATABASE_FOLDERS``.
"""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.datasets.image_files import find_images
from vpr_aesvc.datasets.mat_check import check_mat
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
_FIELDS = ("whichSet", "dbImageFns", "utmDb", "qImageFns", "utmQ", "numImages", "numQueries", "posDistThr")


@dataclass(frozen=True)
class DbStruct:
    """The content of the file.

    Attributes:
        path: the file.
        which: ``train``, ``val`` or ``test``.
        names: image names of the database, then of the queries.
        utm: float64 [n, 2] east and north in meters, of the database, then of the queries.
        tolerance: meters within which a database image is a right answer.
    """

    path: Path
    which: str
    names: tuple[tuple[str, ...], tuple[str, ...]]
    utm: tuple[NDArray[np.float64], NDArray[np.float64]]
    tolerance: float

    def frames(self, images: Path | None = None) -> FrameSet:
        """The frames, database first, each in the file's order; see ``read_dbstruct``."""
        bases = [images] if images else [self.path.parent, self.path.parent.parent]
        if self.path.parent.name == "datasets":  # as published: the images are beside this folder, not in it
            bases.reverse()
        folders = [base / name for name in DATABASE_FOLDERS for base in bases]
        database, database_paths = find_images(self.names[0], folders, (".png", ".jpg"))
        folders = [base / name for name in QUERY_FOLDERS for base in bases]
        if _tops(self.names[0]).isdisjoint(_tops(self.names[1])):
            # Only then: Pitts250k has database images with the names of Pitts30k queries.
            folders += bases
        queries, query_paths = find_images(self.names[1], folders, (".png", ".jpg"))
        notes: list[str] = []
        check_meters(self.path, "utmDb and utmQ", np.concatenate(self.utm).tolist(), notes)
        frames = [
            Frame(label=name, path=path, pose=self._pose(east, north, name), split=split)
            for split, names, paths, utm in zip(
                ("database", "query"), self.names, (database_paths, query_paths), self.utm, strict=True
            )
            for name, path, (east, north) in zip(names, paths, utm.tolist(), strict=True)
        ]
        kind = f"dbStruct, database images in {database}, query images in {queries}"
        return FrameSet(self.path, kind, tuple(frames), Tolerance("meters", self.tolerance), notes=notes)

    def _pose(self, east: float, north: float, name: str) -> Pose:
        try:
            return Pose(east, north)
        except ValueError as error:
            raise VprError(f"{self.path}: the coordinates of {name}: {error}") from None


def read_dbstruct(mat: Path, images: Path | None = None) -> FrameSet:
    """The frames of a ``dbStruct`` file with their poses. The images may be missing; ``kind`` of the result names their folder.

    Args:
        images: the folder to look for images; by default the folder of the file and the one above.

    Raises:
        VprError: scipy is missing, or the file is not a MATLAB file with a complete ``dbStruct``, or lists no queries.
    """
    return load_dbstruct(mat).frames(images)


def load_dbstruct(mat: Path) -> DbStruct:
    """Reads the file without looking for images. Errors as for ``read_dbstruct``."""
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
    return DbStruct(mat, str(struct.whichSet), names, utm, _number(struct.posDistThr, mat, "posDistThr"))


def _load(mat: Path) -> Any:
    require_installed(f"{mat}: reading a .mat file", "scipy.io")
    from scipy.io import loadmat

    if not mat.is_file():
        raise VprError(f"{mat}: no such file; expected a NetVLAD dbStruct (.mat)")
    try:
        data = mat.read_bytes()
        check_mat(data)
        content = loadmat(BytesIO(data), struct_as_record=False, squeeze_me=True)
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


def _names(cell: Any) -> tuple[str, ...]:
    return tuple(str(name).strip() for name in np.atleast_1d(cell))


def _utm(values: Any, count: int, mat: Path, field: str) -> NDArray[np.float64]:
    try:
        utm = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise VprError(f"{mat}: {field} must be numbers, found {type(values).__name__}") from None
    if utm.ndim == 1 and utm.size == 2:
        utm = utm.reshape(2, 1)
    if utm.shape == (2, count):  # as published; tested first, because 2 x 2 fits both
        return utm.T
    if utm.shape == (count, 2):
        return utm
    raise VprError(f"{mat}: {field} must be 2 x {count}, one column an image, found {' x '.join(map(str, utm.shape))}")


def _number(value: Any, mat: Path, field: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise VprError(f"{mat}: {field} must be one number, found {type(value).__name__}") from None


def _tops(names: tuple[str, ...]) -> set[str]:
    return {name.split("/")[0] for name in names}
