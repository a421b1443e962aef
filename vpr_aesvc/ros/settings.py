"""Everything that can be set of the node: the source of its parameters and of their table in the documentation."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from vpr_aesvc.keyframes.gate import KeyframeSettings
from vpr_aesvc.onboard.engine import Mode
from vpr_aesvc.recognition.settings import RecognizerSettings

LIVE = ("recognition", "keyframes")
"""Groups whose parameters may be changed while the node runs; the others only before it is configured."""
READ_ONLY = ("autostart",)


class NodeSettings(BaseModel):
    """A parameter's name is the field's; of a group, with a dot between."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(default="", description="Folder of the model, as `vpr train` or `vpr export` wrote it")
    map: str = Field(default="", description="The .vprmap file; `mapping` and `slam` make it where it is missing")
    mode: Mode = Field(
        default="localization",
        description="localization: find images in the map; mapping: make places of them; slam: both, and loop closures",
    )
    autostart: bool = Field(default=False, description="Configure and activate at once, without a lifecycle manager")
    provider: str = Field(default="cpu", description="What runs the model: cpu, cuda, tensorrt or openvino")
    threads: int = Field(default=0, ge=0, description="Threads of the model on the CPU; 0 for as many as there are")

    cameras: list[str] = Field(
        default=[""],
        min_length=1,
        description="Names of the cameras; each has topics NAME/image and NAME/camera_info. Empty for one: image",
    )
    compressed: bool = Field(default=False, description="Subscribe to image/compressed (sensor_msgs/CompressedImage)")
    reliability: Literal["best_effort", "reliable"] = Field(
        default="best_effort", description="Of the image subscriptions; best_effort hears both kinds of publishers"
    )
    max_rate: float = Field(
        default=0.0,
        ge=0,
        description="Images a second and camera that are looked at, others are passed over; 0 for all that the CPU allows",
    )

    pose_source: Literal["odom", "pose", "tf", "none"] = Field(
        default="odom",
        description="Where the robot's motion comes from: topic odom (nav_msgs/Odometry), topic pose (geometry_msgs/PoseStamped), TF, or nowhere",
    )
    base_frame: str = Field(default="base_link", description="The robot's frame")
    odom_frame: str = Field(default="odom", description="The fixed frame of the robot's motion, for pose_source tf")
    map_frame: str = Field(default="map", description="Frame in which poses of the map are published")
    pose_wait: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Seconds to wait for the pose after an image's stamp before the newest one is carried on; mapping and slam wait 0.05 at least",
    )
    pose_gap: float = Field(
        default=0.5, gt=0, description="Seconds that a pose may lie from an image's stamp for the image to have one"
    )

    traverse: str = Field(
        default="", description="Name of the drive in the map; empty for the time at which the first place was seen"
    )
    publish_descriptors: bool = Field(default=False, description="Publish each image's descriptor on ~/descriptor")
    diagnostics_period: float = Field(default=1.0, gt=0, description="Seconds between messages on /diagnostics")

    recognition: RecognizerSettings = Field(default_factory=RecognizerSettings)
    keyframes: KeyframeSettings = Field(default_factory=KeyframeSettings)

    @field_validator("cameras")
    @classmethod
    def _names_of_topics(cls, names: list[str]) -> list[str]:
        for name in names:
            if name and not re.fullmatch(r"/?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*", name):
                raise ValueError(f"{name!r} cannot begin the name of a topic: letters, digits, _ and / only")
        if len(set(names)) < len(names):
            raise ValueError("each camera needs a name of its own")
        return names
