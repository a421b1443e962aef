"""One thread that works on the newest frame of each camera, and on what else must not run beside it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")


class LatestFrameWorker(Generic[Item]):
    """Frames that come faster than they can be worked on are replaced by newer ones, never queued: an answer is then at most two
    turns of work old. Jobs, such as another map, wait for their turn between two frames and are all done.

    Args:
        work: called with (camera, item) in the thread; must not raise.

    Attributes:
        dropped: by camera, frames that a newer one replaced before their turn came.
    """

    def __init__(self, work: Callable[[str, Item], None], name: str = "recognition") -> None:
        self.dropped: dict[str, int] = {}
        self._work = work
        self._waiting: dict[str, Item] = {}  # in the order of the cameras' turns
        self._jobs: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def offer(self, camera: str, item: Item) -> None:
        """A new frame of a camera; the one that was waiting, if any, is dropped and counted, and the camera keeps its turn."""
        with self._changed:
            if camera in self._waiting:
                self.dropped[camera] = self.dropped.get(camera, 0) + 1
            self._waiting[camera] = item
            self._changed.notify()

    def submit(self, job: Callable[[], Any]) -> Future[Any]:
        """Runs a job in the thread; its result or what it raised is in the future. After :meth:`stop` the future is canceled."""
        future: Future[Any] = Future()
        with self._changed:
            if self._stopping:
                future.cancel()
            else:
                self._jobs.append((future, job))
                self._changed.notify()
        return future

    def forget(self) -> None:
        """Drops the frames that wait, without counting them."""
        with self._changed:
            self._waiting.clear()

    def stop(self) -> None:
        """Ends the thread when it has done what it is at; waits for that. Jobs that wait are canceled."""
        with self._changed:
            self._stopping = True
            self._waiting.clear()
            while self._jobs:
                self._jobs.popleft()[0].cancel()
            self._changed.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopping or self._jobs or self._waiting)
                if self._stopping:
                    return
                job = self._jobs.popleft() if self._jobs else None
                if job is None:
                    camera = next(iter(self._waiting))
                    item = self._waiting.pop(camera)
            if job is None:
                self._work(camera, item)
                continue
            future, call = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)
