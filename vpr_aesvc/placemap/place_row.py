"""A row of the table ``places``, and its conversion from a ``Frame`` and to a ``Place``."""

import json
import math
from typing import NamedTuple

from vpr_aesvc.errors import VprError, expect
from vpr_aesvc.placemap.checksums import matches, place_checksum, row_checksum
from vpr_aesvc.types import Frame, Place, Pose

ID_LIMIT = 2**63  # SQLite's ids are smaller


class PlaceRow(NamedTuple):
    """The columns. Stamp and pose are None where unknown; a damaged row can hold values of any type."""

    id: int
    traverse: int
    stamp: float | None
    x: float | None
    y: float | None
    z: float | None
    qx: float | None
    qy: float | None
    qz: float | None
    qw: float | None
    descriptor: bytes
    checksum: int
    label: str
    path: str | None
    extra: str
    thumbnail: int | None
    words_checksum: int

    @property
    def numbers(self) -> tuple[float | None, ...]:
        """Stamp and pose, 8 numbers."""
        return self[2:10]

    def pose_is_intact(self) -> bool:
        """Whether id, traverse, stamp, pose and descriptor match their checksum."""
        return matches(self.checksum, place_checksum, self.id, self.traverse, self.numbers, self.descriptor)

    def text_is_intact(self) -> bool:
        """Whether id, label, path, extra and the thumbnail's checksum match their checksum."""
        return matches(self.words_checksum, row_checksum, self.id, self.label, self.path, self.extra, self.thumbnail)

    def place(self, traverse: str) -> Place:
        """The place, of the traverse of that name. Raises ValueError or TypeError for a row of another program."""
        pose = None if self.x is None else Pose(*map(float, self.numbers[1:]))  # type: ignore[arg-type]
        stamp = None if self.stamp is None else float(self.stamp)
        if not math.isfinite(stamp or 0) or (pose is not None and abs(math.hypot(*pose.as_tuple()[3:]) - 1) > 0.01):
            raise ValueError(f"stamp {stamp}, {pose}")
        return Place(self.id, self.label, traverse, self.path, stamp, pose, json.loads(self.extra))


COLUMNS = ", ".join(PlaceRow._fields)
NUMBERS = ", ".join(PlaceRow._fields[2:10])


def row_of(place: int, frame: Frame, traverse: int, descriptor: bytes, thumbnail: int | None) -> PlaceRow:
    """The row that stores a frame. ``descriptor``: float16 [d_max], little-endian. ``thumbnail``: the CRC-32 of its
    thumbnail, None without one. Raises VprError: the stamp is not finite, or the orientation is not a unit quaternion."""
    numbers = numbers_of(frame)
    text = (*words_of(frame), thumbnail)
    checksum = place_checksum(place, traverse, numbers, descriptor)
    return PlaceRow(place, traverse, *numbers, descriptor, checksum, *text, row_checksum(place, *text))  # type: ignore[arg-type, call-arg]


def words_of(frame: Frame) -> tuple[str, str | None, str]:
    """Label, path and ``extra`` (a JSON object) as stored."""
    extra = dict(frame.extra) if frame.index is None else {**frame.extra, "index": f"{frame.index:.15g}"}
    path = None if frame.path is None else encodable(str(frame.path.resolve()))
    return encodable(frame.label), path, json.dumps(extra)


def pose_numbers(pose: Pose) -> tuple[float, ...]:
    """A pose as stored, 7 numbers (SQLite stores no negative zero). Raises VprError unless the quaternion is of unit length."""
    expect(pose, Pose, "a pose (vpr_aesvc.Pose)")
    numbers = tuple([float(number) + 0.0 for number in pose.as_tuple()])  # faster than a generator
    if abs(math.hypot(*numbers[3:]) - 1) > 0.01:
        raise VprError(f"the orientation of a pose must be a unit quaternion, found {numbers[3:]}; nothing was changed")
    return numbers


def encodable(text: str) -> str:
    """Text that SQLite can store: bytes of a file name that are not UTF-8 become backslash escapes."""
    return str(text).encode("utf-8", "backslashreplace").decode()


def numbers_of(frame: Frame) -> tuple[float | None, ...]:
    """Stamp and pose as stored, 8 numbers. Raises VprError for a stamp that is not finite, or as ``pose_numbers``."""
    if frame.stamp is not None and not math.isfinite(frame.stamp):
        raise VprError(f"{frame.label}: a stamp must be a finite number, found {frame.stamp}; nothing was added")
    stamp = None if frame.stamp is None else float(frame.stamp) + 0.0
    return (stamp, *((None,) * 7 if frame.pose is None else pose_numbers(frame.pose)))
