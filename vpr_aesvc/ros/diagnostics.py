"""The node's health in words and numbers, for /diagnostics."""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from vpr_aesvc.onboard.latency import Stages

if TYPE_CHECKING:
    from builtin_interfaces.msg import Time

    from vpr_aesvc.onboard.engine import Outcome

_POSELESS = 20  # images in a row without a pose after which something is wrong
_SILENT = 5.0  # seconds without an image after which something is wrong


class Health:
    """What the node has seen and done since it was configured. Written by the threads that work, read by the timer.

    Args:
        pose_source: as in the settings; where it is not ``none``, frames without a pose are worth a warning.
    """

    def __init__(self, pose_source: str = "none") -> None:
        self.stages = Stages()
        self.received: Counter[str] = Counter()  # images, by camera
        self.passed_over: Counter[str] = Counter()  # by max_rate
        self.bad: Counter[str] = Counter()  # pictures, poses and other input that could not be used, by kind
        self.last_bad = ""
        self.answered = 0
        self.accepted = 0
        self.added = 0
        self.last_match = ""
        self.why_nothing = ""
        self.skip_counts = ""  # why nothing came of the last frame
        self._pose_source = pose_source
        self._failing = ""  # why the last frame could not be worked on
        self._poseless = 0  # frames since the last that had a pose
        self._since = time.monotonic()
        self._arrivals: deque[float] = deque(maxlen=100)
        self._answers: deque[float] = deque(maxlen=100)

    def began(self) -> None:
        """The node was activated: from now on images are missed."""
        self._since = time.monotonic()

    def arrived(self, camera: str) -> None:
        self.received[camera] += 1
        self._arrivals.append(time.monotonic())

    def refuse(self, kind: str, why: str) -> None:
        """Input of a kind that could not be used."""
        self.bad[kind] += 1
        self.last_bad = f"{kind}: {why}"

    def failed(self, why: str) -> None:
        """A frame of which nothing came through no fault of its own, as where the disk is full."""
        self.refuse("frame", why)
        self._failing = f"frames are left out: {why}"

    def finished(self, outcome: Outcome) -> None:
        self._answers.append(time.monotonic())
        self.skip_counts = outcome.skipped or ""
        if outcome.bad:
            self.refuse("picture", self.skip_counts)
            self._failing = f"pictures are left out: {self.skip_counts}"
            return
        self._failing = ""
        if outcome.failed is not None:
            self.refuse("place", outcome.failed)
            self._failing = f"no places are made: {outcome.failed}"
        self._poseless = 0 if outcome.frame.pose is not None else self._poseless + 1
        self.stages.add(outcome.milliseconds)
        if outcome.place is not None:
            self.added += 1
        found = outcome.recognition
        if found is None:
            return
        self.answered += 1
        if found.accepted and found.best is not None:
            self.accepted += 1
            self.why_nothing = ""
            self.last_match = (
                f"{found.best.place.label} (place {found.best.place.id}), probability {found.probability:.2f}"
            )
        else:
            self.why_nothing = found.why

    def message(
        self, name: str, state: str, trouble: str, places: int | None, dropped: dict[str, int], stamp: Time
    ) -> DiagnosticArray:
        """One status.

        Args:
            name: of the node. state: of its lifecycle.
            trouble: why it could not be configured; else empty.
            dropped: by camera, images that a newer one replaced.
        """
        now = time.monotonic()
        level, said = self._level(state, trouble, now)
        values = {
            "state": state,
            "images per second": f"{_rate(self._arrivals, now):.1f}",
            "looked at per second": f"{_rate(self._answers, now):.1f}",
            "images": str(sum(self.received.values())),
            "dropped for newer ones": str(sum(dropped.values())),
            "passed over by max_rate": str(sum(self.passed_over.values())),
            "answered": str(self.answered),
            "accepted": str(self.accepted),
            "places added": str(self.added),
            "places in the map": "" if places is None else str(places),
            "memory, MB": f"{_resident():.0f}",
            "last match": self.last_match,
            "why nothing matches": self.why_nothing,
            "why the last image was left out": self.skip_counts,
        }
        for stage, latency in self.stages.summary().items():
            values[f"{stage}, ms"] = f"median {latency.median:.1f}, 95th percentile {latency.high:.1f}"
        values |= {f"bad input: {kind}": str(count) for kind, count in dict(self.bad).items()}
        if self.last_bad:
            values["last bad input"] = self.last_bad
        status = DiagnosticStatus(level=level, name=f"{name}: place recognition", message=said, hardware_id="")
        status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
        array = DiagnosticArray(status=[status])
        array.header.stamp = stamp
        return array

    def _level(self, state: str, trouble: str, now: float) -> tuple[bytes, str]:
        """The worst that there is to say."""
        if trouble:
            return DiagnosticStatus.ERROR, trouble
        if state != "active":
            return DiagnosticStatus.OK, state
        if now - max(self._since, self._arrivals[-1] if self._arrivals else 0.0) > _SILENT:
            return DiagnosticStatus.WARN, (
                f"no image for {_SILENT:.0f} s; are topic, type and QoS right? vpr doctor looks"
            )
        if self._failing:
            return DiagnosticStatus.ERROR, self._failing
        if self._poseless >= _POSELESS and self._pose_source != "none":
            return DiagnosticStatus.WARN, (
                f"the last {self._poseless} images have no pose from pose_source {self._pose_source}: is its topic right, and its "
                "clock the images'? A robot without one sets pose_source to none"
            )
        return DiagnosticStatus.OK, self.why_nothing or self.last_match or state


def _rate(times: deque[float], now: float) -> float:
    """Events a second over the last five seconds."""
    recent = sum(1 for at in list(times) if now - at <= 5.0)
    kept = list(times)
    if recent == len(kept) == times.maxlen and kept[-1] > kept[0]:
        return (recent - 1) / (kept[-1] - kept[0])
    return recent / 5.0


def _resident() -> float:
    """Megabytes that this process holds; zero where the system does not say."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 (a kernel's file, once a second)
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except (OSError, ValueError, IndexError):
        return 0.0
