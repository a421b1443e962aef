"""Rows of the map file and their checksums: CRC-32, which finds every damage of up to 32 bits in a row and nearly all others."""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence

from vpr_aesvc.types import Frame, Place, Pose

NUMBERS = "stamp, x, y, z, qx, qy, qz, qw"
_PACK = struct.Struct("<qq8d").pack
_NAN = math.nan


def checksum(place: int, traverse: int, numbers: Sequence[float | None], descriptor: bytes) -> int:
    """Over what recognition rests on: id, traverse, stamp and pose (:data:`NUMBERS`, None where unknown), and the descriptor."""
    return zlib.crc32(
        descriptor, zlib.crc32(_PACK(place, traverse, *[_NAN if n is None else n + 0.0 for n in numbers]))
    )


def words_checksum(place: int, label: str, path: str | None, extra: str, thumbnail: int | None) -> int:
    """Over the rest of a row."""
    return zlib.crc32(json.dumps([place, label, path, extra, thumbnail]).encode())


def traverse_checksum(traverse: int, name: str, started: float | None, robot: str | None, notes: str | None) -> int:
    """Over a row of ``traverses``."""
    return zlib.crc32(json.dumps([traverse, name, started, robot, notes]).encode())


def learned_checksum(name: str, value: str) -> int:
    """Over a row of ``learned``."""
    return zlib.crc32(json.dumps([name, value]).encode())


def tally_checksum(places: int, checksums: int, changes: int) -> int:
    """Over the row of ``tally``."""
    return zlib.crc32(struct.pack("<qqq", places, checksums, changes))


def holds(expected: object, of: Callable[..., int], *columns: object) -> bool:
    """Whether a checksum is the one of these columns. A damaged row can hold anything, of any type."""
    try:
        return expected == of(*columns)
    except (TypeError, ValueError, OverflowError, struct.error):
        return False


def meta_checksum(meta: Mapping[str, str]) -> str:
    """Over the description of the map."""
    return f"{zlib.crc32(json.dumps(sorted(meta.items())).encode()):08x}"


def numbers_of(frame: Frame) -> tuple[float | None, ...]:
    """Stamp and pose of a frame, in the order of :data:`NUMBERS`. SQLite keeps no negative zero, so none is written."""
    pose: tuple[float | None, ...] = (None,) * 7 if frame.pose is None else frame.pose.as_tuple()
    return tuple(None if number is None else float(number) + 0.0 for number in (frame.stamp, *pose))


def extra_of(frame: Frame) -> str:
    """What the frame carries beyond the columns, as JSON."""
    return json.dumps(dict(frame.extra) if frame.index is None else {**frame.extra, "index": f"{frame.index:g}"})


def place_of(
    place: int, traverse: str, numbers: Sequence[float | None], label: str, path: str | None, extra: str
) -> Place:
    """A place from the columns of its row."""
    pose = None if numbers[1] is None else Pose(*map(float, numbers[1:]))  # type: ignore[arg-type]
    stamp = None if numbers[0] is None else float(numbers[0])
    return Place(id=place, label=label, traverse=traverse, path=path, stamp=stamp, pose=pose, extra=json.loads(extra))
