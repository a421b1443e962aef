"""A small Pitts30k with other images, in either of the layouts it is found in. Names and coordinates are real where the data is there."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from tests.conftest import DATA, has_data
from vpr_aesvc.inputs import open_input


def make_pitts_shaped(
    folder: Path, clips_folder: Path, database: int, queries: int, layout: Literal["published", "downloader"]
) -> Path:
    """Makes ``folder`` and returns it: the root to open as ``pitts30k``. The same counts give the same set in both layouts.

    Every query has a right answer within 25 m. Images are links to frames of ``clips_folder``: those of one panorama are of one
    clip, and a query is of the clip of the panorama nearest to it, so that recognition does better than chance.
    """
    names, (utm_database, utm_queries) = _published() if has_data("pitts30k") else _made()
    rows = np.linspace(0, len(utm_database) - 1, database).astype(int)
    place = np.unique(utm_database[rows], axis=0)
    apart = np.linalg.norm(utm_queries[:, None] - place[None], axis=2)  # every panorama has a chosen image
    answered = np.flatnonzero(apart.min(axis=1) <= 24)
    asked = answered[np.linspace(0, len(answered) - 1, queries).astype(int)]

    clips = _clips(clips_folder)
    nearest = [np.linalg.norm(place - utm, axis=1).argmin() for utm in utm_database[rows]]
    chosen = (
        [
            (names[0][row], utm_database[row], clips[clip % len(clips)][0], n)
            for n, (row, clip) in enumerate(zip(rows, nearest, strict=True))
        ],
        [
            (names[1][row], utm_queries[row], clips[apart[row].argmin() % len(clips)][1], n)
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


def _published() -> tuple[list[list[str]], list[np.ndarray]]:
    """Names and UTM positions [n, 2] of the 10,000 database images and the 6,816 queries."""
    folder = DATA / "pitts30k"
    lists = [((folder / f"pitts30k_imageNames_{part}.txt").read_text().split(), under) for part, under in _LISTS]
    table = np.load(folder / "pitts30k_test.npz")
    return [[name.removeprefix(under) for name in names] for names, under in lists], [table["utmDb"], table["utmQ"]]


def _made() -> tuple[list[list[str]], list[np.ndarray]]:
    """As many images as published, 24 in a panorama, along one street of 5 km. The first names are the published ones."""
    names, positions = [], []
    for first, count, step in ((829, 10_000, 12.0), (546, 6_816, 17.5)):
        panorama, view = np.divmod(np.arange(count), 24)
        names.append(
            [f"000/{first + p:06d}_pitch{v // 12 + 1}_yaw{v % 12 + 1}.jpg" for p, v in zip(panorama, view, strict=True)]
        )
        positions.append(np.column_stack([584_825.96 + step * panorama, np.full(count, 4_476_945.61)]))
    return names, positions


def _clips(tower: Path) -> list[tuple[list[Path], list[Path]]]:
    """Images of the database and of the queries of each clip that has both."""
    found: dict[str, tuple[list[Path], list[Path]]] = {}
    for frame in open_input(tower).frames:
        found.setdefault(frame.sequence, ([], []))[frame.split == "query"].append(frame.path.resolve())
    return [clip for clip in found.values() if all(clip)]
