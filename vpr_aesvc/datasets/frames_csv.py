"""``frames.csv``: one row a frame.

Required columns: ``path`` (relative to the file) and ``split`` (``database`` or ``query``). Optional: ``easting`` with ``northing``
(meters) and ``heading`` (radians, counter-clockwise from east), ``sequence`` with ``index``, ``stamp`` (seconds), ``category`` (frames of one
category are right answers if nothing else tells). Other columns are kept in ``Frame.extra``.
"""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.errors import VprError
from vpr_aesvc.types import Frame, Pose

_SPLITS = ("database", "query")
_KNOWN = {"path", "split", "easting", "northing", "heading", "sequence", "index", "stamp", "category"}


def read_frames_csv(table: Path) -> FrameSet:
    """Reads the rows in order.

    Raises:
        VprError: a required column is missing, a number or a split is malformed, or there are no rows.
    """
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = set(reader.fieldnames or [])
            missing = [name for name in ("path", "split") if name not in columns]
            for one, other in (("easting", "northing"), ("northing", "easting")):
                if one in columns and other not in columns:
                    missing.append(other)
            if missing:
                raise VprError(
                    f"{table}: column {', '.join(missing)} is missing; found {', '.join(sorted(columns)) or 'none'}"
                )
            frames = tuple(_frame(row, table, reader.line_num) for row in reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise VprError(f"{table}: cannot be read as CSV ({error})") from error
    if not frames:
        raise VprError(f"{table}: has a header but no rows")
    return FrameSet(table, "frames.csv", frames)


def _frame(row: dict[str, str], table: Path, line: int) -> Frame:
    def number(name: str) -> float | None:
        text = (row.get(name) or "").strip()
        try:
            return float(text) if text else None
        except ValueError:
            raise VprError(f"{table}, line {line}: {name} must be a number, found {text!r}") from None

    if None in row or not row["path"]:
        raise VprError(f"{table}, line {line}: {'more fields than columns' if None in row else 'path is empty'}")
    if row["split"] not in _SPLITS:
        raise VprError(f"{table}, line {line}: split must be {' or '.join(_SPLITS)}, found {row['split']!r}")
    east, north = number("easting"), number("northing")
    try:
        pose = None if east is None or north is None else Pose.planar(east, north, number("heading") or 0.0)
    except ValueError as error:
        raise VprError(f"{table}, line {line}: {error}") from None
    return Frame(
        label=row["path"],
        path=table.parent / row["path"],
        stamp=number("stamp"),
        pose=pose,
        sequence=row.get("sequence") or None,
        index=number("index"),
        category=row.get("category") or None,
        split=row["split"],
        extra={name: value or "" for name, value in row.items() if name not in _KNOWN},
    )


def frames_as_csv(frames: FrameSet) -> str:
    """The frames as such a table, with absolute paths; columns that are empty for all frames are left out."""
    rows = [
        {
            "path": None if frame.path is None else frame.path.absolute(),
            "split": frame.split,
            "easting": frame.pose and repr(frame.pose.x),
            "northing": frame.pose and repr(frame.pose.y),
            "heading": frame.pose and repr(2 * math.atan2(frame.pose.qz, frame.pose.qw)),
            "sequence": frame.sequence,
            "index": None if frame.index is None else f"{frame.index:g}",
            "stamp": None if frame.stamp is None else repr(frame.stamp),
            "category": frame.category,
        }
        for frame in frames.frames
    ]
    columns = [name for name in rows[0] if any(row[name] is not None for row in rows)]
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()
