"""Time limits that scale with the machine: a test waits longer where the processor is slow or the cores are busy."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

TIMEOUT = 30.0  # seconds on an idle desktop, the machine of all time limits in these tests
_WORK_SECONDS = 0.06  # of `_work` there
_MOST = 8.0


def patience() -> float:
    """By what a time limit is multiplied, 1 to 8: time of a fixed piece of work, times the processes that share a core now."""
    load = Path("/proc/loadavg").read_text().split()
    running = max(float(load[0]), float(load[3].split("/")[0]))  # over the last minute; at this moment
    return min(max(_slowness(), 1.0) * max(running / (os.cpu_count() or 1), 1.0), _MOST)


def wait_for(condition: Callable[[], Any], timeout: float = TIMEOUT, what: str | Callable[[], str] = "") -> None:
    """Waits for a condition; raises TimeoutError after ``timeout`` seconds of an idle machine."""
    start = time.monotonic()
    while not condition():
        if (waited := time.monotonic() - start) > timeout and waited > timeout * patience():
            raise TimeoutError(f"waited {waited:.0f} s for {what() if callable(what) else what}")
        time.sleep(0.01)


@lru_cache(maxsize=1)
def _slowness() -> float:
    return min(_work() for _ in range(3)) / _WORK_SECONDS


def _work() -> float:
    """Seconds of processor time, whatever else runs."""
    start = time.process_time()
    sum(number * number % 7 for number in range(1_000_000))
    return time.process_time() - start
