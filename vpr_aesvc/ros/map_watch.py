"""Whether the map file is still the one that is open."""

import time
from pathlib import Path

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.ros.session import Session

_PERIOD = 1.0  # seconds between checks
_Status = tuple[int, ...]


class MapWatch:
    """Checks the map of a session. A file is judged when it is the same in two checks in a row: it may still be written.

    Attributes:
        error: the file was removed or replaced, and what to do; else empty.
    """

    def __init__(self, session: Session) -> None:
        self.error = ""
        self._session = session
        self._checked = -_PERIOD
        self._status: _Status | None = ()  # of the file at the last check; None if it was missing
        self._judged: _Status | None = ()

    def check(self) -> None:
        """At most once a second, in microseconds. Call it in the worker thread."""
        now = time.monotonic()
        if now - self._checked < _PERIOD:
            return
        self._checked = now
        before, self._status = self._status, _status(self._session.map_path)
        try:
            if self._status == before != self._judged:
                self._judge()
        except VprError as error:
            self._judged = ()  # look again in a second
            self._say(str(error))

    def _judge(self) -> None:
        session = self._session
        path, log, place_map = session.map_path, session.node.get_logger(), session.engine.map
        is_localization = session.settings.mode == "localization"
        self._judged = self._status
        if self._status is None:
            note = "recognition goes on with the places as they were" + ("" if is_localization else ", none is added")
            self._say(f"{path}: the map file was removed; {note}. Put it back")
        elif place_map.is_at(path) and not (is_localization and _is_overwritten(path, place_map)):
            if self.error:
                log.info(f"{path}: the map file is there again")
            self.error = ""
        elif not is_localization:
            self._say(
                f"{path}: the map file was replaced; no place is added. Put the old file back, or deactivate, clean up and configure the "
                "node to use the new one",
            )
        else:
            try:
                place_map = session.reopen_map()
            except VprError as error:
                self._say(f"the map file was replaced, and the new one cannot be used: {error}")
                return
            log.warning(f"{path}: the map file was replaced; opened the new one, {len(place_map)} places")
            self.error = ""

    def _say(self, error: str) -> None:
        if error != self.error:
            self._session.node.get_logger().error(error)
        self.error = error


def _status(path: Path) -> _Status | None:
    """What changes when the file changes; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _is_overwritten(path: Path, place_map: PlaceMap) -> bool:
    """Whether another map was written into the file of an open one, as by `cp` and `scp`. Raises VprError if it is no map."""
    with PlaceMap.open(path, immutable=True) as found:
        return found.id != place_map.id
