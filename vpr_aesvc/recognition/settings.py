"""What a user may set of recognition: the source of command options and ROS parameters."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from vpr_aesvc.placemap.where import Where
from vpr_aesvc.types import Frame


class RecognizerSettings(BaseModel):
    """The rate of false positives is what a user decides; everything else has a default that was measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    false_positive_rate: float = Field(
        default=0.01,
        gt=0,
        le=0.2,
        description="Part of the frames from places that the map lacks whose match may be accepted",
    )
    size: int | None = Field(
        default=None, ge=1, description="Compare only the first so many numbers of each descriptor; by default all"
    )
    candidates: int = Field(default=5, ge=1, le=50, description="How many places are proposed, and checked by geometry")
    sequence: bool = Field(default=True, description="Follow the robot through the map from frame to frame")
    geometry: bool = Field(default=True, description="Compare key points with those of the candidates' stored pictures")
    recent_seconds: float | None = Field(
        default=None, ge=0, description="Leave out places whose stamp is less than this from the frame's, seconds"
    )
    recent_meters: float | None = Field(
        default=None, ge=0, description="Leave out the last so many meters of the traverse that is being driven"
    )
    recent_places: int | None = Field(default=None, ge=0, description="Leave out so many of the places added last")

    def where(self, frame: Frame) -> Where | None:
        """Which places a frame may be found at; None for all. ``recent_seconds`` counts only for a frame with a stamp."""
        recent = self.recent_seconds if frame.stamp is not None else None
        if recent is None and self.recent_meters is None and not self.recent_places:
            return None
        return Where(
            stamp=frame.stamp,
            pose=frame.pose,
            recent_seconds=recent,
            recent_meters=self.recent_meters,
            recent_places=self.recent_places,
        )
