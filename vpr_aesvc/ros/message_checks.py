"""Checks of the messages that came on a robot's topics in a few seconds, and of the rate of its images."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vpr_aesvc.errors import VprError
from vpr_aesvc.onboard.checkup import ImageTime
from vpr_aesvc.onboard.finding import Finding
from vpr_aesvc.recordings.image_messages import rgb_of
from vpr_aesvc.ros.convert import pose_of
from vpr_aesvc.ros.settings import NodeSettings

_MAX_AGE = 1.0  # seconds of a stamp, in the past or the future; beyond it the clocks disagree


@dataclass
class Received:
    """The messages of a topic: header stamps, ages and arrival times in seconds, and the last message."""

    stamps: list[float] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    last: Any = None

    @property
    def rate(self) -> float:
        """Messages per second."""
        return (len(self.arrivals) - 1) / (self.arrivals[-1] - self.arrivals[0]) if len(self.arrivals) > 1 else 0.0


def check_image(topic: str, images: Received) -> Iterator[Finding]:
    try:
        rows, columns = rgb_of(images.last, topic).shape[:2]
        yield Finding("ok", f"{topic}: {columns} x {rows} at {images.rate:.1f} images a second")
    except VprError as error:
        yield Finding("error", f"{topic}: {error}", "change the driver's encoding")


def check_camera_info(topic: str, infos: Received) -> Iterator[Finding]:
    if any(infos.last.k):
        yield Finding("ok", f"{topic}: the camera is calibrated")
    else:
        yield Finding("error", f"{topic}: all zeros: the camera is not calibrated", "ros2 run camera_calibration ...")


def check_poses(topic: str, poses: Received, base_frame: str) -> Iterator[Finding]:
    try:
        pose_of(poses.last.pose.pose if hasattr(poses.last, "child_frame_id") else poses.last.pose)
        yield Finding("ok", f"{topic}: {poses.rate:.1f} poses a second")
    except ValueError as error:
        yield Finding("error", f"{topic}: {error}", "correct the odometry: the node skips such poses")
    child = getattr(poses.last, "child_frame_id", "")
    if child and child != base_frame:
        what = f"{topic} has poses of {child!r}, but base_frame is {base_frame!r}"
        yield Finding("error", what, f"set base_frame to {child}")


def check_stamps(topic: str, received: Received) -> Iterator[Finding]:
    stamps = np.array(received.stamps)
    if not stamps.all():
        what = f"{topic}: {np.sum(stamps == 0)} of {len(stamps)} stamps are zero"
        yield Finding("error", what, "configure the driver to stamp its messages")
        return
    backward = int(np.sum(np.diff(stamps) < 0))
    if backward:
        what = f"{topic}: stamps jump back {backward} times"
        yield Finding("error", what, "check whether a bag plays in a loop or two nodes publish")
    age = float(np.median(received.ages)) if received.ages else 0.0
    if abs(age) > _MAX_AGE:
        what = f"{topic}: stamps are {abs(age):.1f} s {'behind' if age > 0 else 'ahead of'} the clock of this machine"
        advice = "set use_sim_time if a bag or simulator publishes /clock; else synchronize the clocks (chrony)"
        yield Finding("error", what, advice)


def check_load(rate: float, cameras: int, settings: NodeSettings, image_time: ImageTime) -> Finding:
    """Whether the machine is fast enough for ``rate`` images per second of all cameras together."""
    if settings.mode != "localization":
        return Finding("ok", f"mode {settings.mode}: only keyframes are described, so the image rate has no limit")
    rate = min(rate, cameras * settings.max_rate) if settings.max_rate else rate
    limit = 1000 / rate
    what = f"an image takes {image_time.total:.0f} ms on this machine (limit: 1000 / {rate:.1f} Hz = {limit:.0f} ms an image)"
    if image_time.total <= limit:
        return Finding("ok", f"{what}: all are processed")
    fitting = 0.8 * 1000 / image_time.total / cameras
    advice = f"set max_rate to {fitting:.1g}, use a smaller model (vpr export --precision int8), or set recognition.geometry to false"
    return Finding("error", f"{what}: the others are dropped", advice)
