"""``frames.csv``: one row a frame.

Required: ``path`` (relative to the file). Optional columns: ``split`` (``database`` or ``query``), ``easting`` with ``northing`` (meters), or
``latitude`` with ``longitude`` (degrees) and ``altitude`` (meters), which are projected to UTM; ``heading`` (radians, counter-clockwise from east),
``sequence`` with ``index``, ``stamp`` (seconds; since 1970 also in smaller units), ``category`` (frames of one category are right answers if nothing
else tells). Other columns are kept in ``Frame.extra``. Commas, semicolons or tabs separate the fields.
"""

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from vpr_aesvc.datasets.exif_gps import GPS_NOTE, hold_gps
from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.datasets.positions import Fix, check_meters, located_by
from vpr_aesvc.errors import VprError
from vpr_aesvc.stamps import UNITS, to_seconds, unit_since_1970
from vpr_aesvc.text import csv_text, read_text
from vpr_aesvc.transforms import heading
from vpr_aesvc.types import Frame, Pose

_Row = dict[str, str]
_SPLITS = ("database", "query")
_TURN = 2 * math.pi + 0.01
_LATITUDES = ("latitude", "lat", "gps_lat", "gps_latitude")
_LONGITUDES = ("longitude", "lon", "lng", "gps_lon", "gps_longitude")
_POSITION = re.compile(
    r"[xyz]|(pos|position|pose|p|t|utm|gps)_?([xyz]|lat|lon|lng|east|north).*|(lat|lon|east|north)\w*"
)
_EXIFTOOL = {"sourcefile": "path", "gpslatitude": "latitude", "gpslongitude": "longitude", "gpsaltitude": "altitude"}
_KNOWN = {"path", "split", "easting", "northing", "heading", "sequence", "index", "stamp", "category"}


def read_frames_csv(table: Path) -> FrameSet:
    """Reads the rows in order.

    Raises:
        VprError: a required column is missing, a number or a split is malformed, or there are no rows.
    """
    text = read_text(table)
    first = text.partition("\n")[0]
    separator = next((one for one in ",;\t" if one in first), ",")
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
        reader.fieldnames = _known_names(reader.fieldnames or [])
        columns = set(reader.fieldnames)
        needed = ("path", *(("easting", "northing") if columns & {"easting", "northing"} else ()))
        missing = [name for name in needed if name not in columns]
        if missing:
            found = " ".join(", ".join(sorted(columns)).split()) or "none"
            raise VprError(f"{table}: column {', '.join(missing)} is missing; found {found}")
        rows = [(f"{table}, line {reader.line_num}", row) for row in reader]
    except csv.Error as error:
        raise VprError(f"{table}: cannot be read as CSV ({error})") from error
    if not rows:
        raise VprError(f"{table}: has a header but no rows")
    frames = [_frame(row, table, where) for where, row in rows]
    zones = sorted({row["utm_zone"] or "" for _, row in rows} - {""}) if "utm_zone" in columns else []
    if "easting" in columns and len(zones) > 1:
        raise VprError(
            f"{table}: expected positions of one UTM zone, found {', '.join(zones)} in utm_zone; write latitude and longitude instead"
        )
    notes: list[str] = []
    check_meters(table, "easting and northing", [(f.pose.x, f.pose.y) for f in frames if f.pose is not None], notes)
    images = FrameSet(table, "frames.csv", tuple(_in_seconds(frames, rows, table, notes)), notes=notes)
    latitude = next((name for name in _LATITUDES if name in columns), "")
    longitude = next((name for name in _LONGITUDES if name in columns), "")
    if "easting" in columns:
        return images
    if not latitude or not longitude:
        unused = sorted(name for name in columns if _POSITION.fullmatch(name.strip().casefold()))
        if unused:
            notes.append(
                f"no poses: the columns {', '.join(unused)} are not used; name positions easting and northing (meters), or latitude and longitude"
            )
        if hold_gps([frame.path for frame in frames if frame.path is not None]):
            notes.append(GPS_NOTE)
        return images
    return located_by(images, [_fix(row, latitude, longitude, where) for where, row in rows])


def _known_names(names: Sequence[str]) -> list[str]:
    """The header, with the names of this file's columns in lower case and without spaces around them."""
    known = {*_KNOWN, *_LATITUDES, *_LONGITUDES, "altitude", "utm_zone"}
    plain = [_EXIFTOOL.get(name, name) for name in ((name or "").strip().lower() for name in names)]
    return [new if new in known and plain.count(new) == 1 else name for name, new in zip(names, plain, strict=True)]


def _number(row: _Row, name: str, where: str) -> float | None:
    text = (row.get(name) or "").strip()
    try:
        if not math.isfinite(float(text or 0)):
            raise ValueError
        return float(text) if text else None
    except ValueError:
        point = "; write a decimal point" if "," in text else ""
        raise VprError(f"{where}: {name} must be a number, found {text[:80]!r}{point}") from None


def _frame(row: _Row, table: Path, where: str) -> Frame:
    if None in row or not row["path"]:
        raise VprError(f"{where}: {'more fields than columns' if None in row else 'path is empty'}")
    if row.get("split", _SPLITS[0]) not in _SPLITS:
        raise VprError(f"{where}: split must be {' or '.join(_SPLITS)}, found {row['split']!r}")
    east, north, heading = (_number(row, name, where) for name in ("easting", "northing", "heading"))
    if heading is not None and abs(heading) > _TURN:
        raise VprError(
            f"{where}: heading must be in radians, counter-clockwise from east, -2 pi to 2 pi; found {heading:g}. A compass heading h in degrees "
            "is radians(90 - h)"
        )
    try:
        pose = None if east is None or north is None else Pose.planar(east, north, heading or 0.0)
    except ValueError as error:
        raise VprError(f"{where}: {error}") from None
    return Frame(
        label=row["path"],
        path=table.parent / row["path"],
        stamp=_number(row, "stamp", where),
        pose=pose,
        sequence=row.get("sequence") or None,
        index=_number(row, "index", where),
        category=row.get("category") or None,
        split=row.get("split"),
        extra={name: value or "" for name, value in row.items() if name not in _KNOWN},
    )


def _in_seconds(frames: list[Frame], rows: list[tuple[str, _Row]], table: Path, notes: list[str]) -> list[Frame]:
    """The frames with their stamps in seconds; another unit is noted."""
    texts = [row["stamp"] if frame.stamp is not None else "" for frame, (_, row) in zip(frames, rows, strict=True)]
    unit = unit_since_1970([text for text in texts if text], f"{table}, column stamp")
    if unit in (None, UNITS[0]):
        return frames
    notes.append(f"stamps: in {unit}")
    return [
        replace(one, stamp=to_seconds([text], unit)[0]) if text else one
        for one, text in zip(frames, texts, strict=True)
    ]


def _fix(row: _Row, latitude: str, longitude: str, where: str) -> Fix | str:
    names = (latitude, longitude, "altitude", "heading")
    north, east, altitude, heading = (_number(row, name, where) for name in names)
    if north is None or east is None:
        return "no latitude or longitude"
    if not (-80 <= north <= 84 and -180 <= east <= 180):
        raise VprError(
            f"{where}: expected a latitude of -80 to 84 and a longitude of -180 to 180 degrees, found {north:g}, {east:g}"
        )
    if north == east == 0:
        return "latitude and longitude 0, 0: the receiver had no fix"
    return Fix(north, east, altitude, None if heading is None else 90 - math.degrees(heading))


def frames_as_csv(frames: Iterable[Frame]) -> str:
    """The frames as such a table, with absolute paths, or labels where there is none; columns that are empty for all frames are left out."""
    rows = [
        {
            "path": frame.label if frame.path is None else frame.path.absolute(),
            "split": frame.split,
            "easting": frame.pose and repr(frame.pose.x),
            "northing": frame.pose and repr(frame.pose.y),
            "heading": frame.pose and repr(heading(frame.pose)),
            "sequence": frame.sequence,
            "index": None if frame.index is None else f"{frame.index:g}",
            "stamp": None if frame.stamp is None else repr(frame.stamp),
            "category": frame.category,
        }
        for frame in frames
    ]
    columns = [name for name in rows[0] if any(row[name] is not None for row in rows)]
    return csv_text([{name: row[name] for name in columns} for row in rows])
