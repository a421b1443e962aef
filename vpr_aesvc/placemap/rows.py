"""Rows of the map file and their checksums: CRC-32, which finds every damage of up to 32 bits in a row and nearly all others."""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence

from vpr_aesvc.errors import VprError
from vpr_aesvc.types import Frame, Place, Pose

NUMBERS = "stamp, x, y, z, qx, qy, qz, qw"
_PACK = struct.Struct("<qq8d").pack
_NAN = math.nan
TOO_LARGE = 2**63  # SQLite has no such id


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
    pose: tuple[float | None, ...] = (None,) * 7 if frame.pose is None else pose_numbers(frame.pose)
    if frame.stamp is not None and not math.isfinite(frame.stamp):
        raise VprError(
            f"{frame.label}: a stamp must be a finite number of seconds, found {frame.stamp}; nothing was added"
        )
    return (None if frame.stamp is None else float(frame.stamp) + 0.0, *pose)


def pose_numbers(pose: Pose) -> tuple[float, ...]:
    """A pose as it is stored.

    Raises:
        VprError: its orientation is not a unit quaternion.
    """
    numbers = tuple(float(number) + 0.0 for number in pose.as_tuple())
    if abs(math.hypot(*numbers[3:]) - 1) > 0.01:
        raise VprError(f"the orientation of a pose must be a unit quaternion, found {numbers[3:]}; nothing was changed")
    return numbers


def text(words: str) -> str:
    """Words as SQLite can hold them: of a file name that is not UTF-8, the bytes that are not are spelled out."""
    return str(words).encode("utf-8", "backslashreplace").decode()


def extra_of(frame: Frame) -> str:
    """What the frame carries beyond the columns, as JSON."""
    return json.dumps(dict(frame.extra) if frame.index is None else {**frame.extra, "index": f"{frame.index:.15g}"})


def place_of(
    place: int, traverse: str, numbers: Sequence[float | None], label: str, path: str | None, extra: str
) -> Place:
    """A place from the columns of its row."""
    pose = None if numbers[1] is None else Pose(*map(float, numbers[1:]))  # type: ignore[arg-type]
    stamp = None if numbers[0] is None else float(numbers[0])
    return Place(id=place, label=label, traverse=traverse, path=path, stamp=stamp, pose=pose, extra=json.loads(extra))
