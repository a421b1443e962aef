"""CRC-32 of rows, and the table ``tally``: the number of places and the sum of their checksums, which reveal missing rows.

CRC-32 detects every error burst of up to 32 bits, and nearly all other damage.
"""

import json
import math
import sqlite3
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence

_PACK = struct.Struct("<qq8d").pack


def place_checksum(place: int, traverse: int, numbers: Sequence[float | None], descriptor: bytes) -> int:
    """Of what search needs: id, traverse, stamp and pose (8 numbers, None where unknown), and the descriptor."""
    packed = _PACK(place, traverse, *[math.nan if number is None else number + 0.0 for number in numbers])
    return zlib.crc32(descriptor, zlib.crc32(packed))


def row_checksum(*columns: object) -> int:
    """Of columns that JSON can hold."""
    return zlib.crc32(json.dumps(columns).encode())


def patches_checksum(place: int, patches: bytes) -> int:
    """Of a row of the table ``patches``."""
    return zlib.crc32(patches, zlib.crc32(struct.pack("<q", place)))


def metadata_checksum(metadata: Mapping[str, str]) -> str:
    """Of the table ``meta``, eight hex digits."""
    return f"{zlib.crc32(json.dumps(sorted(metadata.items())).encode()):08x}"


def matches(expected: object, checksum: Callable[..., object], *columns: object) -> bool:
    """Whether ``checksum(*columns)`` is the expected one. Columns of a damaged row can have any type."""
    try:
        return expected == checksum(*columns)
    except (TypeError, ValueError, OverflowError, struct.error):
        return False


def read_tally(db: sqlite3.Connection) -> tuple[int, int, int]:
    """The number of places, the sum of their checksums, and the revision: how many transactions removed or altered places.
    Raises sqlite3.Error if the row is damaged."""
    row = db.execute("SELECT places, checksums, changes, checksum FROM tally").fetchone()
    if row is None or not matches(row[3], _tally_checksum, *row[:3]):
        raise sqlite3.DatabaseError("the count of places does not match its checksum")
    return row[:3]  # type: ignore[no-any-return]


def write_tally(db: sqlite3.Connection, places: int, checksums: int, revision: int) -> None:
    columns = (places, checksums, revision, _tally_checksum(places, checksums, revision))
    db.execute("UPDATE tally SET places = ?, checksums = ?, changes = ?, checksum = ?", columns)


def _tally_checksum(places: int, checksums: int, revision: int) -> int:
    return zlib.crc32(struct.pack("<qqq", places, checksums, revision))
