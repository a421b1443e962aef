"""A robot's exchange with the fleet's map in the background: nothing that it does raises or waits elsewhere."""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from pathlib import Path

from vpr_aesvc.errors import VprError
from vpr_aesvc.fleet import require_fleet


class FleetThread(ABC):
    """Works in a thread until ``close``, with its own connection to the server and its own to the map file.

    Args:
        path: the map file; it is opened a second time.
        url, robot, frame: as for `vpr fleet push`.
        period: seconds between two steps. share: a step takes at most 1 / ``share`` of the time.

    Attributes:
        name: of what it does, for the user. state: its result; ``error`` is empty while it succeeds.

    Raises:
        VprError: the extra is not installed, or the address is none.
    """

    name = ""

    def __init__(self, path: Path, url: str, robot: str, frame: str, period: float, share: float) -> None:
        require_fleet()
        from vpr_aesvc.fleet.address import FleetAddress

        FleetAddress.parse(url)
        self.state = "nothing yet"
        self.error = ""
        self._path, self._url, self._robot, self._frame = path, url, robot, frame
        self._period, self._share = period, share
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"vpr_aesvc {self.name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread: at once, or after the batch that it is sending or receiving; a later run does what is left."""
        self._stopped.set()
        self._thread.join(2)

    @abstractmethod
    def _step(self) -> None: ...

    def _work(self) -> None:
        pause = 0.0
        while not self._stopped.wait(pause):
            began = time.monotonic()
            try:
                self._step()
            except VprError as error:
                self.error = str(error)
            except _StoppedError:
                return
            except Exception as error:  # nobody waits for this thread: it says so and tries again
                self.error = f"internal error: {type(error).__name__}: {error}"
                logging.getLogger(__name__).exception("internal error")
            pause = max(self._period, self._share * (time.monotonic() - began))

    def _go_on(self, done: int, of: int) -> None:
        """Progress of a push or a pull."""
        if self._stopped.is_set():
            raise _StoppedError


class _StoppedError(Exception):
    """``close`` was called."""
