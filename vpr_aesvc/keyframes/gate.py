"""Keyframes by distance: a frame becomes a place if it is far enough from the last one."""

import math

from pydantic import BaseModel, ConfigDict, Field

from vpr_aesvc.transforms import angle, distance
from vpr_aesvc.types import Frame


class KeyframeSettings(BaseModel):
    """How far apart places are. The source of command options and ROS parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    meters: float = Field(default=0.5, ge=0, description="A new place after so many meters")
    degrees: float = Field(default=15.0, ge=0, le=180, description="or after a turn of so many degrees")
    seconds: float = Field(
        default=1.0, ge=0, description="A new place after so many seconds, where frames have no pose"
    )


class KeyframeGate:
    """Decides by stamp and pose, before the image is decoded. The first frame always passes."""

    def __init__(self, settings: KeyframeSettings | None = None) -> None:
        self.settings = settings or KeyframeSettings()
        self._last: Frame | None = None

    def is_far_enough(self, frame: Frame) -> bool:
        """Whether a frame is far enough from the last keyframe. A stamp before that of the last keyframe passes: the clock was set back."""
        last = self._last
        if last is None:
            return True
        if frame.pose is not None and last.pose is not None:
            is_far = distance(last.pose, frame.pose) >= self.settings.meters - 1e-6
            return is_far or angle(last.pose, frame.pose) >= math.radians(self.settings.degrees) - 1e-6
        if frame.stamp is None or last.stamp is None:
            return True
        return not 0 <= frame.stamp - last.stamp < self.settings.seconds - 1e-6

    def set_last(self, frame: Frame) -> None:
        """The frame became a keyframe: the next ones are measured from it."""
        self._last = frame
