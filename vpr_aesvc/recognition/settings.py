"""User settings of recognition: the source of CLI options and ROS parameters."""

from pydantic import BaseModel, ConfigDict, Field

from vpr_aesvc.placemap.where import Where
from vpr_aesvc.types import Frame


class RecognizerSettings(BaseModel):
    """The user chooses a false-positive rate. All other defaults were measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    false_positive_rate: float = Field(
        default=0.01,
        gt=0,
        le=0.2,
        description="Part of the frames from outside the map whose match may be accepted",
    )
    size: int | None = Field(
        default=None, ge=1, description="Compare only the first so many numbers of each descriptor; by default all"
    )
    candidates: int = Field(
        default=5, ge=1, le=50, description="How many places are proposed, and verified geometrically"
    )
    sequence: bool = Field(default=True, description="Track position across frames with a Bayes filter")
    geometry: bool = Field(default=True, description="Verify candidates by key points of their stored thumbnails")
    verify_every: int = Field(
        default=4,
        ge=1,
        le=100,
        description="Verify one in so many frames while the sequence is sure, and no metric poses are measured; 1: every frame",
    )
    metric_pose: bool = Field(
        default=True,
        description="Measure the camera's pose relative to the matched place, where cameras and poses are known; needs geometry",
    )
    patches: bool = Field(
        default=True, description="Rank candidates by the encoder's patches, where the map stores them"
    )
    recent_seconds: float | None = Field(
        default=None, ge=0, description="Exclude places whose stamp is less than this from the frame's, in seconds"
    )
    recent_meters: float | None = Field(
        default=None, ge=0, description="Exclude the last so many meters of the current traverse"
    )
    recent_places: int | None = Field(default=None, ge=0, description="Exclude so many of the places added last")

    @property
    def excludes_recent(self) -> bool:
        """As for loop closing, where every match must be verified."""
        return bool(self.recent_seconds or self.recent_meters or self.recent_places)

    def where(self, frame: Frame) -> Where | None:
        """The places to search for a frame; None for all. ``recent_seconds`` has no effect on a frame without a stamp."""
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
