"""A small Pitts30k: real names, real coordinates, real (but other) images, in either of the layouts it is found in."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from tests.conftest import DATA
from vpr_aesvc.inputs import open_input


def make_pitts_shaped(folder: Path, database: int, queries: int, layout: Literal["published", "downloader"]) -> Path:
    """Makes ``folder`` and returns it: the root to open as ``pitts30k``. The same counts give the same set in both layouts.

    Every query has a right answer within 25 m. Images are links to frames of ``ie_tower``: those of one panorama are of one
    clip, and a query is of the clip of the panorama nearest to it, so that recognition does better than chance.
    """
    pitts, tower = DATA / "pitts30k", DATA / "ie_tower"
    if not pitts.is_dir() or not tower.is_dir():
        pytest.skip(f"real data is absent: {pitts} or {tower} (set VPR_TEST_DATA)")
    table = np.load(pitts / "pitts30k_test.npz")
    names = [_names(pitts / f"pitts30k_imageNames_{part}.txt", under) for part, under in _LISTS]
    rows = np.linspace(0, len(table["utmDb"]) - 1, database).astype(int)
    place = np.unique(table["utmDb"][rows], axis=0)
    apart = np.linalg.norm(table["utmQ"][:, None] - place[None], axis=2)  # every panorama has a chosen image
    answered = np.flatnonzero(apart.min(axis=1) <= 24)
    asked = answered[np.linspace(0, len(answered) - 1, queries).astype(int)]

    clips = _clips(tower)
    nearest = [np.linalg.norm(place - utm, axis=1).argmin() for utm in table["utmDb"][rows]]
    chosen = (
        [
            (names[0][row], table["utmDb"][row], clips[clip % len(clips)][0], n)
            for n, (row, clip) in enumerate(zip(rows, nearest, strict=True))
        ],
        [
            (names[1][row], table["utmQ"][row], clips[apart[row].argmin() % len(clips)][1], n)
            for n, row in enumerate(asked)
        ],
    )
    for split, part in zip(("database", "queries"), chosen, strict=True):
        for name, utm, frames, n in part:
            if layout == "downloader":
                path = folder / "images" / "test" / split / downloader_name(name, *utm)
            else:
                path = folder / ("queries_real" if split == "queries" else "") / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(frames[n % len(frames)])
    if layout == "published":
        parts = [([one[0] for one in part], np.array([one[1] for one in part])) for part in chosen]
        (folder / "datasets").mkdir()
        write_dbstruct(folder / "datasets" / "pitts30k_test.mat", *parts[0], *parts[1])
    return folder


def write_dbstruct(
    mat: Path, database: list[str], utm_database: np.ndarray, queries: list[str], utm_queries: np.ndarray, **changed
) -> None:
    """A ``dbStruct`` as published: names in cells, coordinates 2 x n. ``changed`` replaces fields; None leaves one out."""
    from scipy.io import savemat

    fields = {
        "whichSet": "test",
        "dbImageFns": np.array(database, object).reshape(-1, 1),
        "utmDb": utm_database.T,
        "qImageFns": np.array(queries, object).reshape(-1, 1),
        "utmQ": utm_queries.T,
        "numImages": float(len(database)),
        "numQueries": float(len(queries)),
        "posDistThr": 25.0,
        "posDistSqThr": 625.0,
        "nonTrivPosDistSqThr": 100.0,
    }
    fields = {name: value for name, value in {**fields, **changed}.items() if value is not None}
    savemat(mat, {"dbStruct": fields}, do_compression=True)


def downloader_name(name: str, east: float, north: float) -> str:
    """What VPR-datasets-downloader renames an image of Pitts30k to (latitude and longitude, which nobody reads, are fixed)."""
    panorama, note = Path(name).stem.split("_", 1)
    pitch, yaw = (int(word.lstrip("pitchyaw")) - 1 for word in note.split("_"))
    place = f"@{cut(east)}@{cut(north)}@17@T@040.43800@-080.00300"
    return f"{place}@{panorama}@{pitch * 24 + yaw:02d}@@@@@@{note}@.jpg"


def cut(meters: float) -> str:
    """Seven digits and two decimals, cut, not rounded, as the downloader does."""
    whole, decimals = str(float(meters)).split(".")
    return f"{int(whole):07d}.{decimals[:2]:<02}"


_LISTS = (("index", "./Pittsburgh250k/"), ("query", "./Pittsburgh250k/queries_real/"))


def _names(table: Path, under: str) -> list[str]:
    return [line.removeprefix(under) for line in table.read_text().split()]


def _clips(tower: Path) -> list[tuple[list[Path], list[Path]]]:
    """Images of the database and of the queries of each clip that has both."""
    found: dict[str, tuple[list[Path], list[Path]]] = {}
    for frame in open_input(tower).frames:
        found.setdefault(frame.sequence, ([], []))[frame.split == "query"].append(frame.path.resolve())
    return [clip for clip in found.values() if all(clip)]
