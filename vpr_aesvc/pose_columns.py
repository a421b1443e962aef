"""Which column holds what, by the header of a table of poses: EuRoC's, TUM's, and those of ROS messages exported as CSV."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from vpr_aesvc.errors import VprError
from vpr_aesvc.stamps import UNITS
from vpr_aesvc.text import fields_of

USUAL = ("stamp", "x", "y", "z", "qx", "qy", "qz", "qw")

_STAMPS = ("stamp", "timestamp", "time", "t")  # a message's own stamp before the time of recording
_POSITION = {"p", "pos", "position", "pose", "t", "trans", "translation", "location"}
_ROTATION = {"q", "quat", "quaternion", "orientation", "rot", "rotation"}
_OTHER = {"twist", "velocity", "vel", "v", "linear", "angular", "acceleration", "b", "bias", "covariance"}
_DEGREES = {"lat", "latitude", "lon", "lng", "long", "longitude"}
_TIME = re.compile(r"(|m|milli|u|µ|micro|n|nano)s(?:ecs?|econds?)?")
_POWERS = {"": 0, "m": 1, "milli": 1, "u": 2, "µ": 2, "micro": 2, "n": 3, "nano": 3}
_METERS = {"m", "meter", "meters", "metre", "metres"}
_UNITS = {*_METERS, "mm", "cm", "km", "ft", "deg", "degrees"}


@dataclass(frozen=True)
class PoseColumns:
    """``columns``: where the fields of ``USUAL`` are. ``nanoseconds``: a second column of the stamp. ``unit``: of the stamp, if it is said."""

    names: Sequence[str]
    columns: Sequence[int]
    nanoseconds: int | None
    unit: str | None

    def __str__(self) -> str:
        return " ".join(self.names[at] for at in sorted(self.columns))

    @property
    def is_usual(self) -> bool:
        return list(self.columns) == list(range(len(USUAL)))

    def pick(self, fields: Sequence[str]) -> list[str]:
        """The fields in the order of ``USUAL``. Raises ValueError: another number of fields than the header's."""
        if len(fields) != len(self.names):
            raise ValueError
        stamp, *rest = (fields[at] for at in self.columns)
        if self.nanoseconds is not None:
            if not 0 <= int(fields[self.nanoseconds]) < 10**9:  # not a part of a second
                raise ValueError
            stamp = f"{int(stamp)}.{int(fields[self.nanoseconds]):09d}"
        return [stamp, *rest]


def column_names(line: str) -> list[str]:
    """The words of a header; a unit in brackets stays with its name."""
    return fields_of(re.sub(r"\s+(?=[\[(])", "", line.strip().strip("#%").strip()))


def find_columns(names: Sequence[str], where: str) -> PoseColumns | None:
    """Where the columns are; None if the names do not tell a stamp, a position and a quaternion. ``where``: file and line,
    for messages. Raises VprError: two columns could be the same, or positions are in another unit than meters or are
    latitude and longitude."""
    found: dict[str, list[tuple[int, str | None]]] = {}
    for at, name in enumerate(names):
        role, unit = _role(name)
        found.setdefault(role, []).append((at, unit))
    stamps = next((found[one] for one in _STAMPS if one in found), [])
    if "degrees" in found and stamps:
        given = ", ".join(names[at] for at, _ in found["degrees"])
        advice = "project them first, for example to UTM, or write a frames.csv with the columns latitude and longitude"
        raise VprError(f"{where}: expected positions x y z in meters, found the columns {given}; {advice}")
    if not stamps or any(role not in found for role in USUAL[1:]):
        return None
    nanoseconds = None
    if sorted(unit or "" for _, unit in stamps) == ["nanoseconds", "seconds"]:
        stamps.sort(key=lambda stamp: stamp[1] == "nanoseconds")
        nanoseconds = stamps.pop()[0]
    for columns in (stamps, *(found[role] for role in USUAL[1:])):
        if len(columns) > 1:
            alike = ", ".join(names[at] for at, _ in columns)
            raise VprError(f"{where}: which column to use? Found {alike}; leave one of them in the file")
    for role in "xyz":
        at, unit = found[role][0]
        if unit is not None and unit not in _METERS:
            raise VprError(f"{where}: expected positions in meters, found {names[at]}; convert them")
    chosen = [stamps[0][0], *(found[role][0][0] for role in USUAL[1:])]
    return PoseColumns(names, chosen, nanoseconds, stamps[0][1])


def _role(name: str) -> tuple[str, str | None]:
    """What a column holds (one of ``USUAL``, of the names of a stamp, ``degrees`` or nothing), and its unit."""
    parts = [part.lower() for part in re.findall(r"[A-Z]?[a-zµ]+|[A-Z]+", name)]
    unit, time = None, _TIME.fullmatch(parts[-1]) if parts else None
    if time or (len(parts) > 1 and parts[-1] in _UNITS):
        unit = parts.pop()
    last, before = (parts or ["stamp"])[-1], set(parts[:-1])
    if last in _STAMPS and not before & _OTHER:
        return last, UNITS[_POWERS[time[1]]] if time else None
    if last in _DEGREES:
        return "degrees", unit
    if before & _OTHER:
        return "", unit
    if last in ("qx", "qy", "qz", "qw"):
        return last, unit
    if last in ("x", "y", "z", "w") and before & _ROTATION:
        return f"q{last}", unit
    if last in ("tx", "ty", "tz", "px", "py", "pz", "x", "y", "z") and (not before or before & _POSITION):
        return last[-1], unit
    return "", unit
