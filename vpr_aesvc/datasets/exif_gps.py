"""Whether photos hold the place where they were taken, as the GPS part of their EXIF
(https://www.cipa.jp/std/documents/e/DC-X008-Translation-2019-E.pdf, 4.6.6)."""

import re
from collections.abc import Sequence
from pathlib import Path
from random import Random

GPS_NOTE = (
    "no poses: the photos hold GPS positions (EXIF); to use them, write them into a frames.csv: "
    "`exiftool -csv -n -r -GPSLatitude -GPSLongitude -GPSAltitude . > frames.csv` in the folder of the photos"
)
_SUFFIXES = {".jpg", ".jpeg", ".tif", ".tiff", ".png", ".webp"}
_SAMPLE, _PART = 16, 1 << 16  # photos that are looked into; bytes of both ends
# To the GPS part, in either byte order.
_POINTER = re.compile(rb"\x25\x88\x04\x00\x01\x00\x00\x00|\x88\x25\x00\x04\x00\x00\x00\x01")


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
