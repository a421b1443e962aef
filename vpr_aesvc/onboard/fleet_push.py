"""New places of a robot's map to the fleet's, in the background: mapping goes on while the server is away, and the fleet catches up later."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from vpr_aesvc.errors import VprError
from vpr_aesvc.fleet import require_fleet
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.database import wal_of

_PERIOD = 5.0  # seconds between two pushes
_SHARE = 20  # a push of a large map takes at most 1 / 20 of the time


class FleetPush:
    """Pushes in a thread until ``close``. Nothing that it does raises or waits elsewhere.

    Args:
        path: the map file; it is opened a second time.
        url, robot, frame: as for `vpr fleet push`.

    Attributes:
        state: for the user; ``error`` is empty while pushes succeed.

    Raises:
        VprError: the extra is not installed, or the address is none.
    """

    def __init__(self, path: Path, url: str, robot: str, frame: str, period: float = _PERIOD) -> None:
        require_fleet()
        from vpr_aesvc.fleet.address import FleetAddress

        FleetAddress.parse(url)
        self.state = "nothing pushed yet"
        self.error = ""
        self._given = path, url, robot, frame
        self._period = period
        self._pushed: list[int] = []  # times of the files at the last push
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="vpr_aesvc fleet", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread: at once, or after the batch that it is sending; a later run pushes what is left."""
        self._stopped.set()
        self._thread.join(2)

    def _work(self) -> None:
        pause = 0.0
        while not self._stopped.wait(pause):
            began = time.monotonic()
            try:
                self._push()
                self.error = ""
            except VprError as error:
                self.error = str(error)
            except _StoppedError:
                return
            pause = max(self._period, _SHARE * (time.monotonic() - began))

    def _push(self) -> None:
        from vpr_aesvc.fleet.push import fleet_map_for, push

        path, url, robot, frame = self._given
        changed = [one.stat().st_mtime_ns for one in (path, wal_of(path)) if one.exists()]
        if changed == self._pushed:
            return
        with PlaceMap.open(path) as place_map, fleet_map_for(url, place_map) as fleet:
            push(place_map, fleet, robot, frame, self._go_on)
            self.state = f"all {len(place_map)} places are pushed"
        self._pushed = changed

    def _go_on(self, done: int, of: int) -> None:
        if self._stopped.is_set():
            raise _StoppedError
        self.state = f"{done} of {of} new places pushed"


class _StoppedError(Exception):
    """``close`` was called."""
