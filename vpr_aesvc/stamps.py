"""Stamps of any unit -> seconds. Their size tells the unit of stamps that count from 1970: 1.4e9 s, 1.4e12 ms, 1.4e15 us or 1.4e18 ns."""

from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from vpr_aesvc.errors import VprError

UNITS = ("seconds", "milliseconds", "microseconds", "nanoseconds")
_YEAR_1973, _YEAR_2286 = 1e8, 1e10  # seconds
_JUMP = 100.0  # between neighbors in size: larger than time makes, smaller than a unit


def unit_since_1970(stamps: Sequence[str], where: str) -> str | None:
    """The unit in which all these numbers count from 1970; None if they count from another time, such as the start of a
    run. Raises VprError: they have several units."""
    sizes = np.array([abs(float(stamp)) for stamp in stamps])
    sizes = np.sort(sizes[sizes > 0])
    if not len(sizes):
        return None
    for power, unit in enumerate(UNITS):
        if sizes[0] >= _YEAR_1973 * 1000**power and sizes[-1] < _YEAR_2286 * 1000**power:
            return unit
    jumps = np.flatnonzero((sizes[1:] > _JUMP * sizes[:-1]) & (sizes[:-1] >= _YEAR_1973))
    if len(jumps):
        found = " and ".join(f"{size:.10g}" for size in sizes[jumps[0] : jumps[0] + 2])
        raise VprError(f"{where}: expected stamps of one unit, found {found}; write all of them in seconds")
    return None


def to_seconds(stamps: Sequence[str], unit: str) -> list[float]:
    """Finite numbers as text -> float64 seconds. Nanoseconds of 19 digits are divided before they are rounded."""
    power = 3 * UNITS.index(unit)
    return [float(Decimal(stamp.strip()).scaleb(-power)) if power else float(stamp) for stamp in stamps]
