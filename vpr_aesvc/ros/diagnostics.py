"""Counters and latencies of the node, for /diagnostics."""

import resource
import time
from collections import Counter, deque

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from vpr_aesvc.onboard.engine import Outcome
from vpr_aesvc.onboard.finding import Finding
from vpr_aesvc.onboard.fleet_thread import FleetThread
from vpr_aesvc.onboard.rig_frames import TOLERANCE
from vpr_aesvc.recognition.result import Recognition
from vpr_aesvc.ros.input_watch import InputWatch

_POSELESS_IMAGES = 20  # consecutive images without a pose before a warning
_RATE_WINDOW = 5.0  # seconds
_IMAGES = ("images", "passed over by max_rate", "answered", "accepted")
_RESULTS = ("poses published", "initial poses published", "places added")


class Health:
    """What the node has counted since it was configured. The sensor and worker threads write, the diagnostics timer reads.

    Unless ``pose_source`` is ``none``, many images without a pose are a warning.
    """

    def __init__(self, node: Node, pose_source: str = "none") -> None:
        self.counts: Counter[str] = Counter()  # by their names in the message
        self._latencies: dict[str, deque[float]] = {}  # milliseconds, by stage
        self._last_bad_input = ""
        self.learning: float | None = None  # ``progress`` of the models
        self.fleet: list[FleetThread] = []
        self.peers: dict[str, str] = {}  # what was found of other robots' places, or why not, by robot
        self.rig_missing: list[str] = []  # cameras that the rig goes on without
        self._last_match = ""
        self._why_no_match = ""
        self._skip_reason = ""  # of the last image
        self._frame_error = ""  # why the last frame could not be processed
        self.missing_mounts: dict[str, str] = {}  # why no pose is published, by frame_id of the images
        self._pose_source = pose_source
        self._images_without_pose = 0  # since the last image with a pose
        self.inputs = InputWatch(node)
        self._arrival_times: deque[float] = deque(maxlen=1000)
        self._finish_times: deque[float] = deque(maxlen=1000)

    def activated(self) -> None:
        """Inputs are expected from now on."""
        self.missing_mounts.clear()
        self.rig_missing = []
        self.inputs.clear()

    def image_received(self) -> None:
        self.counts["images"] += 1
        self._arrival_times.append(time.monotonic())

    def bad_input(self, kind: str, reason: str) -> None:
        """Counts an unusable input."""
        self.counts[f"bad input: {kind}"] += 1
        self._last_bad_input = f"{kind}: {reason}"

    def failed(self, reason: str) -> None:
        """A frame could not be processed, although its image may be good; for example the map is damaged."""
        self.bad_input("frame", reason)
        self._frame_error = f"frames are skipped: {reason}"

    def finished(self, outcome: Outcome) -> None:
        """A frame was processed."""
        self._finish_times.append(time.monotonic())
        self._skip_reason = outcome.skip_reason or ""
        if outcome.bad_image:
            self.bad_input("picture", self._skip_reason)
            self._frame_error = f"images are skipped: {self._skip_reason}"
            return
        self._frame_error = ""
        if outcome.place_error is not None:
            self.bad_input("place", outcome.place_error)
            self._frame_error = f"places are not stored: {outcome.place_error}"
        self._images_without_pose = 0 if outcome.frame.pose is not None else self._images_without_pose + 1
        for stage, milliseconds in outcome.milliseconds.items():
            self._latencies.setdefault(stage, deque(maxlen=300)).append(milliseconds)
        self.counts["places added"] += outcome.place_id is not None
        recognition = outcome.recognition
        if recognition is None:
            return
        self.counts["answered"] += 1
        best = recognition.best
        if recognition.accepted and best is not None:
            self.counts["accepted"] += 1
            self._why_no_match = ""
            self._last_match = f"{best.place.label} (place {best.place.id}), probability {recognition.probability:.2f}"
        else:
            self._why_no_match = recognition.why

    def rig_finished(self, recognition: Recognition) -> None:
        """The cameras' joint decision."""
        self.counts["rig frames"] += 1
        self.counts["accepted rig frames"] += recognition.accepted
        self._why_no_match = "" if recognition.accepted else recognition.why

    def message(
        self, name: str, state: str, error: str, places: int | None, dropped: dict[str, int], stamp: Time
    ) -> DiagnosticArray:
        """One status of the node ``name`` in a lifecycle state.

        Args:
            error: why the last transition failed, or why the map cannot be read; else empty.
            places: in the map; None if no map is open.
            dropped: by camera, images that a newer one replaced.
        """
        now = time.monotonic()
        missing = self.inputs.missing() if state == "active" else []
        level, summary = self._level(state, error, missing)
        values = {
            "state": state,
            "images per second": f"{_rate(self._arrival_times, now):.1f}",
            "looked at per second": f"{_rate(self._finish_times, now):.1f}",
            "dropped for newer ones": str(sum(dropped.values())),
            **{name: str(count) for name, count in {**dict.fromkeys(_IMAGES + _RESULTS, 0), **self.counts}.items()},
            "places in the map": "" if places is None else str(places),
            "learning the map": "" if self.learning is None else f"{100 * self.learning:.0f} %",
            **{one.name: one.error or one.state for one in self.fleet},
            **{f"robot {name}": said for name, said in self.peers.items()},
            "memory, MB": f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000:.0f}",
            "last match": self._last_match,
            "why nothing matches": self._why_no_match,
            "why the last image was left out": self._skip_reason,
            "missing inputs": " | ".join(map(str, missing)),
        }
        for stage, window in list(self._latencies.items()):
            if latencies := list(window):  # empty while another thread adds the first
                median, high = np.median(latencies), np.percentile(latencies, 95)
                values[f"{stage}, ms"] = f"median {median:.1f}, 95th percentile {high:.1f}"
        if self._last_bad_input:
            values["last bad input"] = self._last_bad_input
        status = DiagnosticStatus(level=level, name=f"{name}: place recognition", message=summary, hardware_id="")
        status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
        array = DiagnosticArray(status=[status])
        array.header.stamp = stamp
        return array

    def _level(self, state: str, error: str, missing: list[Finding]) -> tuple[bytes, str]:
        """The first problem in order of severity, as (level, message); else OK."""
        if error:
            return DiagnosticStatus.ERROR, error
        if state != "active":
            return DiagnosticStatus.OK, state
        if self._frame_error:
            return DiagnosticStatus.ERROR, self._frame_error
        if self.missing_mounts:
            return DiagnosticStatus.ERROR, next(iter(dict(self.missing_mounts).values()))
        needed = [str(one) for one in missing if one.level == "error"]
        if needed:
            return DiagnosticStatus.WARN, f"nothing comes: {needed[0]}"
        if self._images_without_pose >= _POSELESS_IMAGES and self._pose_source != "none":
            return DiagnosticStatus.WARN, (
                f"the last {self._images_without_pose} images have no pose from pose_source {self._pose_source}: check its topic, and that "
                "its stamps and the images' come from one clock; if the robot has no odometry, set pose_source to none"
            )
        if self.rig_missing:
            return DiagnosticStatus.WARN, (
                f"the rig goes on without {', '.join(self.rig_missing)}: no image with a stamp within {TOLERANCE} s of the others'; "
                "check its topic, and synchronize the cameras"
            )
        for one in self.fleet:
            if one.error:
                return DiagnosticStatus.WARN, f"{one.name}: {one.error}"
        if self.learning is not None:
            return DiagnosticStatus.OK, f"learning the map, {100 * self.learning:.0f} %"
        return DiagnosticStatus.OK, self._why_no_match or self._last_match or state


def _rate(times: deque[float], now: float) -> float:
    """Events per second over the last five seconds."""
    return sum(now - event <= _RATE_WINDOW for event in list(times)) / _RATE_WINDOW
