"""A thread that processes the latest frame of each camera, and jobs that must not run at the same time."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")


class LatestFrameWorker(Generic[Item]):
    """Keeps one waiting frame per camera: a newer frame replaces it. Frames are never queued, so results stay recent. Jobs are queued and
    run between two frames.

    Args:
        process: called with (camera, frame) in the thread; must not raise.

    Attributes:
        dropped: by camera, how many waiting frames were replaced.
    """

    def __init__(self, process: Callable[[str, Item], None]) -> None:
        self.dropped: dict[str, int] = {}
        self._process = process
        self._waiting: dict[str, Item] = {}
        self._lock = threading.Lock()
        self._executor = ThreadPoolExecutor(1, "recognition")
        self._processes = False

    def offer(self, camera: str, item: Item) -> bool:
        """Sets the waiting frame of a camera. One that is replaced counts as dropped; the camera keeps its place in the order. Returns whether the frame
        replaces none and must wait for another one."""
        with self._lock:
            replaced = camera in self._waiting
            self._waiting[camera] = item
            waits = self._processes and not replaced
        if replaced:
            self.dropped[camera] = self.dropped.get(camera, 0) + 1
        else:
            self.submit(partial(self._process_waiting, camera))
        return waits

    def submit(self, job: Callable[[], Any]) -> Future[Any]:
        """Runs a job in the thread; the future has its result or exception. After ``stop`` the future is canceled."""
        try:
            return self._executor.submit(job)
        except RuntimeError:
            future: Future[Any] = Future()
            future.cancel()
            return future

    def forget(self) -> None:
        """Drops the waiting frames without counting them."""
        with self._lock:
            self._waiting.clear()

    def stop(self) -> None:
        """Cancels waiting jobs, lets the current frame or job finish, and ends the thread."""
        self.forget()
        self._executor.shutdown(cancel_futures=True)

    def _process_waiting(self, camera: str) -> None:
        with self._lock:
            item = self._waiting.pop(camera, None)
            self._processes = item is not None
        if item is not None:
            self._process(camera, item)
            with self._lock:
                self._processes = False
