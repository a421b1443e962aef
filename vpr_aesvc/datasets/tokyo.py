"""Tokyo 24/7: the time of day of a query and the panorama of a database image."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.types import Frame

CUTOUTS = 12
"""Database images of one panorama, 30 degrees apart."""
_TIMES = {"D": "day", "S": "sunset", "N": "night"}
_TABLES = ("", "247query_subset_v2", "247query_subset_v2/247query_subset_v2", "raw_data/tokyo247/247query_subset_v2")


def cutout(name: str) -> tuple[str, int] | None:
    """Panorama and tile of a published database name, ``<panorama>_012_<degrees>.png``; None for other names."""
    found = re.fullmatch(r"(.+)_012_(\d+)", Path(name).stem)
    # The published tool takes the first 22 characters: the length of a panorama's id.
    return (found[1][:22], int(found[2]) // 30) if found else None


def with_times_and_panoramas(frames: FrameSet, root: Path) -> FrameSet:
    """``extra["panorama"]`` of each database frame, ``extra["time"]`` (day, sunset, night) of each query.

    Labels must be canonical (``vpr_aesvc.datasets.netvlad_layouts``). Only the sixth field of the ``.csv`` published with each query has the time;
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
