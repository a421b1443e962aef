"""New places of a robot's map to the fleet's, in the background: mapping goes on while the server is away, and the fleet catches up later."""

from __future__ import annotations

import time
from pathlib import Path

from vpr_aesvc.onboard.fleet_thread import FleetThread
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.database import wal_of

_TICK = 1_000_000_000  # nanoseconds, longer than any


class FleetPush(FleetThread):
    """Pushes every five seconds; a push of a large map takes at most a twentieth of the time."""

    name = "fleet"

    def __init__(self, path: Path, url: str, robot: str, frame: str, period: float = 5.0) -> None:
        self._pushed: list[int] = []  # times of the files at the last push
        super().__init__(path, url, robot, frame, period, share=20)

    def _step(self) -> None:
        from vpr_aesvc.fleet.push import fleet_map_for, push

        now, files = time.time_ns(), (self._path, wal_of(self._path))
        changed = [one.stat().st_mtime_ns for one in files if one.exists()]
        if changed != self._pushed:
            with PlaceMap.open(self._path) as place_map, fleet_map_for(self._url, place_map) as fleet:
                count = len(place_map)  # more may be added meanwhile
                push(place_map, fleet, self._robot, self._frame, self._go_on)
                self.state = f"all {count} places are pushed"
            # Files keep time in ticks of some milliseconds: a write in the tick of the last one that was seen would look like none.
            self._pushed = changed if max(changed) < now - _TICK else []
        self.error = ""

    def _go_on(self, done: int, of: int) -> None:
        super()._go_on(done, of)
        self.state = f"{done} of {of} new places pushed"
