"""The table ``cameras``: the intrinsics of the cameras of each traverse, and the size of their images."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from vpr_aesvc.errors import VprError, expect
from vpr_aesvc.placemap.checksums import matches, row_checksum
from vpr_aesvc.placemap.schema import CAMERAS
from vpr_aesvc.placemap.sqlite_errors import damage_error
from vpr_aesvc.types import Intrinsics

Camera = tuple[Intrinsics, tuple[int, int]]  # and (width, height) of its images
CamerasByName = dict[tuple[str, str], Camera]  # by the names of traverse and camera


def select_rows(db: sqlite3.Connection) -> Iterator[tuple[int, str, str, bool]]:
    """Traverse id, name and value of each row, and whether it matches its checksum. None in older maps."""
    if db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'cameras'").fetchone():
        for *columns, checksum in db.execute("SELECT traverse, name, value, checksum FROM cameras ORDER BY rowid"):
            yield *columns, matches(checksum, row_checksum, *columns)  # type: ignore[misc]


def camera_of_text(text: str) -> Camera:
    """Raises VprError for another program's text."""
    try:
        value = dict(json.loads(text))
        size = int(value.pop("width")), int(value.pop("height"))
        return Intrinsics(**value), size
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise VprError(f"not a camera: {error}") from error


def camera_text(camera: Camera) -> str:
    """The text of ``camera_of_text``. Raises VprError for an image without pixels."""
    intrinsics, size = camera
    expect(intrinsics, Intrinsics, "intrinsics (vpr_aesvc.Intrinsics)")
    width, height = map(int, size)
    if min(width, height) <= 0:
        raise VprError(f"the images of a camera must have pixels, found {width} x {height}; nothing was changed")
    return json.dumps({**asdict(intrinsics), "width": width, "height": height}, default=float)


def require_same(path: Path | str, cameras: CamerasByName, known: CamerasByName, traverses: Iterable[str]) -> None:
    """Raises VprError if there is no such traverse, or if it has another camera."""
    for (traverse, name), camera in cameras.items():
        if traverse not in traverses:
            raise VprError(f"{path}: has no traverse {traverse!r}; it has {', '.join(traverses) or 'none'}")
        old = known.get((traverse, name), camera)
        if old != camera:
            found = f"traverse {traverse!r} has another camera already ({old[0]}, of {old[1][0]} x {old[1][1]} pixels)"
            raise VprError(f"{path}: {found}; nothing was changed, replace=True (--replace) replaces it")


def select_cameras(path: Path, db: sqlite3.Connection, traverses: dict[str, int]) -> CamerasByName:
    """By the names of traverse and camera; ``traverses`` are ids by name. Raises VprError for a damaged row."""
    names = {traverse: name for name, traverse in traverses.items()}
    cameras = {}
    for traverse, name, value, intact in select_rows(db):
        if not intact or traverse not in names:
            raise damage_error(path, f"the camera of traverse {traverse} does not match its checksum")
        try:
            cameras[names[traverse], name] = camera_of_text(value)
        except VprError as error:
            raise damage_error(path, f"the camera of traverse {traverse} cannot be read ({error})") from error
    return cameras


def write_camera(db: sqlite3.Connection, traverse: int, name: str, camera: Camera) -> None:
    """Only within a transaction."""
    db.execute(CAMERAS)
    columns = (traverse, name, camera_text(camera))
    db.execute("INSERT OR REPLACE INTO cameras VALUES (?, ?, ?, ?)", (*columns, row_checksum(*columns)))
