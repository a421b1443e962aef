"""Where photos were taken, by the GPS part of their EXIF (https://www.cipa.jp/std/documents/e/DC-X008-Translation-2019-E.pdf, 4.6.6)."""

import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

_SUFFIXES = {".jpg", ".jpeg", ".tif", ".tiff", ".png", ".webp"}
_SAMPLE, _PART = 16, 1 << 16  # photos looked into before all are read; bytes of both ends
_GPS_TAG = 0x8825
# To the GPS part, in either byte order.
_POINTER = re.compile(rb"\x25\x88\x04\x00\x01\x00\x00\x00|\x88\x25\x00\x04\x00\x00\x00\x01")


@dataclass(frozen=True)
class Fix:
    """Degrees; meters above sea level; degrees clockwise from north, and whether that is magnetic north."""

    latitude: float
    longitude: float
    altitude: float | None = None
    direction: float | None = None
    is_magnetic: bool = False


def hold_gps(paths: Sequence[Path]) -> bool:
    """Whether one of at most 16 of the photos has a GPS part. Reads 64 KiB of both ends. The photos are drawn, as every second one may be an
    edited copy without it."""
    photos = [path for path in paths if path.suffix.lower() in _SUFFIXES]
    return any(map(_has_pointer, Random(0).sample(photos, min(_SAMPLE, len(photos)))))


def _has_pointer(photo: Path) -> bool:
    try:
        with photo.open("rb") as file:
            start = file.read(_PART)
            file.seek(max(0, file.seek(0, 2) - _PART))  # where TIFF may have it
            return _POINTER.search(start + file.read()) is not None
    except OSError:
        return False


def read_fix(path: Path) -> Fix | str:
    """The position of a photo, or why it has none. Only the header of the file is read."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                gps = image.getexif().get_ifd(_GPS_TAG)
        return _fix(gps) if gps else "no GPS in the photo"
    except Exception:  # whatever a damaged header makes of the parser
        return "EXIF that cannot be read"


def _fix(gps: Mapping[int, Any]) -> Fix | str:
    latitude, longitude = _degrees(gps.get(2), gps.get(1), "NS", 90), _degrees(gps.get(4), gps.get(3), "EW", 180)
    if latitude is None or longitude is None or not -80 <= latitude <= 84 or _letter(gps.get(9)) == "V":  # UTM's range
        return "no valid GPS position in the photo"
    if latitude == longitude == 0:
        return "GPS 0, 0: the receiver had no fix"
    altitude, direction = _number(gps.get(6)), _number(gps.get(17))
    if altitude is not None and gps.get(5) in (1, b"\x01", 3, b"\x03"):  # below sea level, below the ellipsoid
        altitude = -altitude
    return Fix(latitude, longitude, altitude, direction, _letter(gps.get(16)) == "M")


def _degrees(parts: Any, reference: Any, letters: str, most: float) -> float | None:
    """From degrees, minutes and seconds; negative with the second of the letters."""
    numbers = [_number(part) for part in (parts if isinstance(parts, tuple) else (parts,))]
    known = [number for number in numbers if number is not None]
    value = sum(number / 60**power for power, number in enumerate(known))
    letter = _letter(reference)
    if len(known) < len(numbers) or not letter or letter not in letters or not abs(value) <= most:
        return None
    return -value if letter == letters[1] else value


def _letter(value: Any) -> str:
    return (value.decode("ascii", "ignore") if isinstance(value, bytes) else str(value or "")).strip("\0 ").upper()[:1]


def _number(value: Any) -> float | None:
    """A rational number; None for what is none, such as 0/0."""
    try:
        return float(value) if math.isfinite(float(value)) else None
    except (TypeError, ValueError, ArithmeticError):
        return None
