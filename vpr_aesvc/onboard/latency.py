"""How long each stage takes, over the last few hundred frames."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

import numpy as np

_KEPT = 300


@dataclass(frozen=True)
class Latency:
    """Milliseconds, of the frames since the window began."""

    median: float
    high: float  # 95th percentile


class Stages:
    """Times by stage, in milliseconds; written by the thread that works and read by the one that reports."""

    def __init__(self) -> None:
        self._times: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def add(self, times: dict[str, float]) -> None:
        with self._lock:
            for stage, milliseconds in times.items():
                self._times.setdefault(stage, deque(maxlen=_KEPT)).append(milliseconds)

    def summary(self) -> dict[str, Latency]:
        """By stage, in the order they were first seen."""
        with self._lock:
            copied = {stage: np.array(times) for stage, times in self._times.items()}
        return {
            stage: Latency(float(np.median(times)), float(np.percentile(times, 95))) for stage, times in copied.items()
        }
