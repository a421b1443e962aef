"""The node's settings. Its ROS parameters and their table in the documentation are generated from them."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from vpr_aesvc.keyframes.gate import KeyframeSettings
from vpr_aesvc.onboard.engine import Mode
from vpr_aesvc.onboard.rig_frames import RIG
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.transforms import pose_from_euler
from vpr_aesvc.types import Pose

LIVE = ("recognition", "keyframes")
"""Groups whose parameters can be set while the node runs. All others can be set only before it is configured."""
READ_ONLY = ("autostart",)


class NodeSettings(BaseModel):
    """A parameter has the name of its field; in a group it is GROUP.FIELD."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(default="", description="Model folder, written by `vpr train` or `vpr export`")
    map: str = Field(default="", description="Map file (.vprmap); modes mapping and slam create a missing one")
    mode: Mode = Field(
        default="localization",
        description="localization: recognize images in the map; mapping: add places to the map; slam: both, with loop closures",
    )
    autostart: bool = Field(default=False, description="Configure and activate at startup, without a lifecycle manager")
    provider: str = Field(default="cpu", description="what runs the graph: cpu, cuda, tensorrt or openvino")
    threads: int = Field(default=0, ge=0, description="CPU threads of the model; 0 uses all cores")

    cameras: list[str] = Field(
        default=[""],
        min_length=1,
        description="Camera names, the prefixes of topics NAME/image and NAME/camera_info; one empty name for no prefix",
    )
    rig: bool = Field(
        default=False,
        description="All cameras together give one match and one pose; the mount of each should be known",
    )
    compressed: bool = Field(default=False, description="Subscribe to image/compressed (sensor_msgs/CompressedImage)")
    reliability: Literal["best_effort", "reliable"] = Field(
        default="best_effort",
        description="QoS of the image subscriptions; best_effort receives from both kinds of publishers",
    )
    max_rate: float = Field(
        default=0.0,
        ge=0,
        description="Images per second and camera to process, the others are skipped; 0 for as many as the CPU allows",
    )

    pose_source: Literal["odom", "pose", "tf", "none"] = Field(
        default="odom",
        description="Source of the robot's motion: topic odom (nav_msgs/Odometry), topic pose (geometry_msgs/PoseStamped), tf or none",
    )
    base_frame: str = Field(default="base_link", description="Frame of the robot's base")
    odom_frame: str = Field(default="odom", description="Fixed frame of the odometry, for pose_source tf")
    map_frame: str = Field(default="map", description="Frame of the published map poses")
    camera_mount: list[float] | None = Field(
        default=None,
        description="Pose of the camera (x forward, y left, z up) in base_frame: x, y, z in meters, roll, pitch, yaw in radians; "
        "six numbers for each of cameras. By default from TF",
    )
    assume_camera_is_base: bool = Field(
        default=False,
        description="Take a camera that TF does not know to be at base_frame, looking forward. Else no pose is published until TF knows it",
    )
    publish_initialpose: bool = Field(
        default=False,
        description="Publish the pose on topic initialpose, for AMCL or slam_toolbox: once when sure, again only when sure matches contradict "
        "the localization for a while, or on ~/relocalize. Mode localization",
    )
    publish_tf: bool = Field(
        default=False,
        description="Publish the transform from map_frame to the odometry's frame on TF (REP 105). Mode localization; not beside AMCL",
    )
    turn_speed: float = Field(
        default=0.3,
        gt=0,
        le=2,
        description="Radians per second at which a goal of ~/relocalize that allows it turns the robot",
    )
    enable_stamped_cmd_vel: bool = Field(
        default=False, description="Turn by geometry_msgs/TwistStamped in place of Twist, as the parameter of Nav2"
    )
    pose_wait: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Seconds to wait for a pose newer than the image; then the latest pose is extrapolated. mapping and slam wait at least 0.05",
    )
    pose_gap: float = Field(
        default=0.5, gt=0, description="Largest time in seconds between an image and the pose it gets"
    )

    traverse: str = Field(default="", description="Name of the traverse; by default the time of its first place")
    fleet_url: str = Field(
        default="",
        description="Address of the fleet's map, postgresql://HOST/DATABASE?map=NAME; modes mapping and slam push new places to it in the "
        "background, localization and slam ask it what the map does not know. The password is best in ~/.pgpass",
    )
    fleet_robot: str = Field(
        default="",
        description="Name of this robot for others; by default the node's namespace, without one the host's name",
    )
    peers: list[str] = Field(
        default=[""],
        description="Other robots, by their namespaces: their new places are recognized in the map, and loop closures between the robots published",
    )
    fleet_frame: str = Field(
        default="",
        description="Name of the frame of the map's poses in the fleet; by default a frame of this robot alone, and the fleet is not asked",
    )
    publish_descriptors: bool = Field(default=False, description="Publish the descriptor of each image on ~/descriptor")
    diagnostics_period: float = Field(default=1.0, gt=0, description="Seconds between messages on /diagnostics")

    recognition: RecognizerSettings = Field(default_factory=RecognizerSettings)
    keyframes: KeyframeSettings = Field(default_factory=KeyframeSettings)

    @model_validator(mode="after")
    def _check_combinations(self) -> NodeSettings:
        if self.camera_mount and len(self.camera_mount) != 6 * len(self.cameras):
            raise ValueError(
                f"camera_mount needs six numbers for each of {len(self.cameras)} cameras, found {len(self.camera_mount)}"
            )
        self.mounts()  # raises ValueError if a number is not finite
        if self.mode != "localization" and (self.publish_tf or self.publish_initialpose):
            raise ValueError(
                "publish_tf and publish_initialpose need mode localization: in other modes the map is being made"
            )
        if self.publish_tf and self.pose_source == "none":
            raise ValueError("publish_tf needs odometry: pose_source odom, pose or tf")
        if any(self.peers) and self.mode == "mapping":
            raise ValueError("peers needs mode slam or localization: mode mapping recognizes nothing")
        if self.rig and (len(self.cameras) < 2 or RIG in self.cameras):
            raise ValueError(f"rig needs two or more cameras, none of them named {RIG!r}")
        return self

    @field_validator("cameras", "peers")
    @classmethod
    def _check_camera_names(cls, names: list[str]) -> list[str]:
        for name in names:
            if name and not re.fullmatch(r"/?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*", name):
                raise ValueError(f"{name!r} is not a valid topic prefix: use letters, digits, _ and /")
        if len(set(names)) < len(names):
            raise ValueError("names must be different")
        return names

    def mounts(self) -> dict[str, Pose]:
        """Poses of the cameras in ``base_frame`` by ``camera_mount``, by the camera's name; empty if it is not set."""
        numbers = self.camera_mount or []
        return {
            name: pose_from_euler(*numbers[6 * at : 6 * at + 6])
            for at, name in enumerate(self.cameras if numbers else [])
        }
