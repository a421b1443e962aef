"""Real bags, written by rosbags: of the corridor's frames, and message by message for the odd ones."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from pymap3d import enu2geodetic
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from tests.recordings.corridor import PERIOD, START, CorridorFrame, pose_at
from vpr_aesvc.images import read_image
from vpr_aesvc.transforms import OPTICAL, compose
from vpr_aesvc.types import Pose

CAMERA_ON_BASE = compose(Pose(0.30, 0.05, 0.25), Pose(0, 0, 0, 0, 0.0499792, 0, 0.9987503))
"""The camera with a body's axes, looking a little down."""
ORIGIN = (47.3977, 8.5456, 408.0)
"""Latitude, longitude, altitude of the first fix."""
FX = 400.0
IMAGE_TOPIC, FRAME = "/camera/image_raw", "camera_optical_frame"


def camera_pose(frame: CorridorFrame) -> Pose:
    """What a recording should say of it."""
    return compose(frame.pose, CAMERA_ON_BASE)


class BagWriter:
    """Writes messages as they come; ``stamp`` is the header's, ``received`` the bag's, both in seconds.

    Args:
        path: a folder to be made, or a ``.bag`` file.
        compression: None, ``message`` or ``file`` (ROS 2, zstd), ``chunk`` (mcap: zstd; ROS 1: lz4).
    """

    def __init__(self, path: Path, storage: str = "sqlite3", compression: str | None = None) -> None:
        self.ros1 = storage == "ros1"
        self.store = get_typestore(Stores.ROS1_NOETIC if self.ros1 else Stores.ROS2_JAZZY)
        if self.ros1:
            self.store.register(
                get_types_from_msg("geometry_msgs/TransformStamped[] transforms", "tf2_msgs/msg/TFMessage")
            )
            self.writer = Writer1(path)
            if compression:
                self.writer.set_compression(Writer1.CompressionFormat.LZ4)
        else:
            self.writer = Writer2(path, version=9, storage_plugin=StoragePlugin[storage.upper()])
            mode = {"message": CompressionMode.MESSAGE, "file": CompressionMode.FILE, "chunk": CompressionMode.STORAGE}
            if compression:
                self.writer.set_compression(mode[compression], CompressionFormat.ZSTD)
        self.writer.open()
        self._connections = {}

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(self, *error) -> None:
        self.writer.close()

    def make(self, type: str, *values, **fields):
        return self.store.types[type](*values, **fields)

    def topic(self, topic: str, type: str):
        """Announces a topic, also one that stays empty."""
        if (topic, type) not in self._connections:
            self._connections[topic, type] = self.writer.add_connection(topic, type, typestore=self.store)
        return self._connections[topic, type]

    def write(self, topic: str, message, received: float) -> None:
        type = message.__msgtype__
        coded = self.store.serialize_ros1(message, type) if self.ros1 else self.store.serialize_cdr(message, type)
        self.raw(topic, type, coded, received)

    def raw(self, topic: str, type: str, data: bytes, received: float) -> None:
        self.writer.write(self.topic(topic, type), nanoseconds(received), data)

    def header(self, stamp: float, frame: str = FRAME):
        whole = nanoseconds(stamp)
        time = self.make("builtin_interfaces/msg/Time", whole // 10**9, whole % 10**9)
        words = {"stamp": time, "frame_id": frame}
        return self.make("std_msgs/msg/Header", **words, **({"seq": 0} if self.ros1 else {}))

    def image(self, rgb, stamp, received=None, topic=IMAGE_TOPIC, encoding="bgr8", frame=FRAME, padding=0) -> None:
        """RGB uint8 [H, W, 3] as sensor_msgs/Image."""
        message = image_message(self, rgb, stamp, encoding, frame, padding)
        self.write(topic, message, stamp if received is None else received)

    def compressed(self, coded, stamp, received=None, topic=f"{IMAGE_TOPIC}/compressed", frame=FRAME) -> None:
        """The bytes of a JPEG or PNG as sensor_msgs/CompressedImage."""
        message = self.make(
            "sensor_msgs/msg/CompressedImage",
            header=self.header(stamp, frame),
            format="jpeg",
            data=np.frombuffer(coded, np.uint8),
        )
        self.write(topic, message, stamp if received is None else received)

    def pose_message(self, pose: Pose):
        values = pose.as_tuple()
        point = self.make("geometry_msgs/msg/Point", *map(float, values[:3]))
        return self.make(
            "geometry_msgs/msg/Pose", point, self.make("geometry_msgs/msg/Quaternion", *map(float, values[3:]))
        )

    def odometry(self, pose, stamp, received=None, topic="/odom", frame="odom", child="base_link") -> None:
        zero = self.make("geometry_msgs/msg/Vector3", 0.0, 0.0, 0.0)
        covariance = np.zeros(36)
        twist = self.make(
            "geometry_msgs/msg/TwistWithCovariance", self.make("geometry_msgs/msg/Twist", zero, zero), covariance
        )
        placed = self.make("geometry_msgs/msg/PoseWithCovariance", self.pose_message(pose), covariance)
        message = self.make("nav_msgs/msg/Odometry", self.header(stamp, frame), child, placed, twist)
        self.write(topic, message, stamp if received is None else received)

    def pose(self, pose, stamp, received=None, topic="/pose", frame="map", covariance=False) -> None:
        inner, type = self.pose_message(pose), "geometry_msgs/msg/PoseStamped"
        if covariance:
            inner = self.make("geometry_msgs/msg/PoseWithCovariance", inner, np.zeros(36))
            type = "geometry_msgs/msg/PoseWithCovarianceStamped"
        self.write(topic, self.make(type, self.header(stamp, frame), inner), stamp if received is None else received)

    def tf(self, edges: Iterable[tuple[str, str, Pose]], stamp, received=None, topic="/tf") -> None:
        """(parent, child, child in parent) each."""
        transforms = []
        for parent, child, pose in edges:
            values = pose.as_tuple()
            transform = self.make(
                "geometry_msgs/msg/Transform",
                self.make("geometry_msgs/msg/Vector3", *map(float, values[:3])),
                self.make("geometry_msgs/msg/Quaternion", *map(float, values[3:])),
            )
            header = self.header(stamp, parent)
            transforms.append(self.make("geometry_msgs/msg/TransformStamped", header, child, transform))
        self.write(topic, self.make("tf2_msgs/msg/TFMessage", transforms), stamp if received is None else received)

    def fix(self, latitude, longitude, altitude, stamp, received=None, topic="/gps/fix", status=0) -> None:
        message = self.make(
            "sensor_msgs/msg/NavSatFix",
            header=self.header(stamp, "gps"),
            status=self.make("sensor_msgs/msg/NavSatStatus", status=status, service=1),
            latitude=float(latitude),
            longitude=float(longitude),
            altitude=float(altitude),
            position_covariance=np.zeros(9),
            position_covariance_type=0,
        )
        self.write(topic, message, stamp if received is None else received)

    def camera_info(self, width, height, stamp, topic="/camera/camera_info", fx=FX, d=(0.0,) * 5) -> None:
        cx, cy = (width - 1) / 2, (height - 1) / 2
        k = np.array([fx, 0, cx, 0, fx, cy, 0, 0, 1.0])
        p = np.array([fx, 0, cx, 0, 0, fx, cy, 0, 0, 0, 1, 0.0])
        names = ("D", "K", "R", "P") if self.ros1 else ("d", "k", "r", "p")
        roi = self.make("sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
        message = self.make(
            "sensor_msgs/msg/CameraInfo",
            header=self.header(stamp),
            height=height,
            width=width,
            distortion_model="plumb_bob",
            **dict(zip(names, (np.array(d, float), k, np.eye(3).ravel(), p), strict=True)),
            binning_x=0,
            binning_y=0,
            roi=roi,
        )
        self.write(topic, message, stamp)


def write_bag(
    path: Path,
    frames: Iterable[CorridorFrame],
    storage: str = "sqlite3",
    compressed: bool = False,
    poses: str | None = "odometry",
    camera_info: bool = True,
    static_tf: bool = True,
    encoding: str = "bgr8",
    compression: str | None = None,
    pose_period: float = PERIOD / 10,
) -> Path:
    """A bag of the corridor.

    Args:
        path: a folder that is made; for ``storage="ros1"`` a file is, which the suffix ``.bag`` is put on where it is missing.
        storage: ``sqlite3``, ``mcap`` or ``ros1``.
        compressed: the frames' own JPEG bytes as CompressedImage, instead of their pixels as Image.
        poses: ``odometry``, ``pose``, ``pose_covariance``, ``tf``, ``navsat`` or None.
        static_tf: where the camera is on the robot; without it a reader takes it to be at its base.
    Returns:
        what to open.
    """
    frames = list(frames)
    if storage == "ros1":
        path = path.with_suffix(".bag")
    with BagWriter(path, storage, compression) as bag:
        if static_tf:
            camera = compose(CAMERA_ON_BASE, OPTICAL)
            bag.tf([("base_link", FRAME, camera)], START, frames[0].stamp, "/tf_static")
        due = frames[0].stamp
        for frame in frames:
            while due <= frame.stamp + 1e-6:
                _write_pose(bag, poses, due)
                due = round(due + pose_period, 6)
            if camera_info:
                height, width = cv2.imread(str(frame.path)).shape[:2]
                bag.camera_info(width, height, frame.stamp)
            if compressed:
                bag.compressed(frame.path.read_bytes(), frame.stamp)
            else:
                bag.image(read_image(frame.path), frame.stamp, encoding=encoding)
    return path


def _write_pose(bag: BagWriter, kind: str | None, stamp: float) -> None:
    pose = pose_at(1 + (stamp - START) / PERIOD)
    if kind == "odometry":
        bag.odometry(pose, stamp)
    elif kind in ("pose", "pose_covariance"):
        bag.pose(pose, stamp, covariance=kind == "pose_covariance")
    elif kind == "tf":
        bag.tf([("odom", "base_link", pose), ("base_link", "wheel", Pose(0, 0, 0.1))], stamp)
        bag.tf([("map", "odom", Pose(0, 0))], stamp)
    elif kind == "navsat":
        bag.fix(*enu2geodetic(pose.x, pose.y, pose.z, *ORIGIN), stamp)


def image_message(bag: BagWriter, rgb, stamp: float, encoding: str, frame: str = FRAME, padding: int = 0):
    """sensor_msgs/Image with ``padding`` bytes after each row."""
    pixels = encoded(rgb, encoding)
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(len(pixels), -1)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=99)
    return bag.make(
        "sensor_msgs/msg/Image",
        header=bag.header(stamp, frame),
        height=rgb.shape[0],
        width=rgb.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=padded.shape[1],
        data=padded.ravel(),
    )


def encoded(rgb, encoding: str):
    """RGB uint8 [H, W, 3] as a camera of this encoding would send it, written out without OpenCV's names where these are doubtful."""
    gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    name = encoding.lower()
    if name.endswith("16"):
        return encoded(rgb, name[:-2] + "8").astype("<u2") * 257
    if name.startswith("bayer_"):
        mosaic = np.empty(gray.shape, np.uint8)
        for at, color in enumerate(name[6:10]):  # top left, top right, bottom left, bottom right
            mosaic[at // 2 :: 2, at % 2 :: 2] = rgb[at // 2 :: 2, at % 2 :: 2, "rgb".index(color)]
        return mosaic
    if name in ("yuv422", "uyvy", "yuyv", "yuv422_yuy2", "nv12", "nv21"):
        return _yuv(rgb, name)
    alpha = np.full((*gray.shape, 1), 255, np.uint8)
    return {
        "rgb8": rgb,
        "bgr8": rgb[:, :, ::-1],
        "8uc3": rgb[:, :, ::-1],
        "mono8": gray,
        "8uc1": gray,
        "rgba8": np.concatenate([rgb, alpha], 2),
        "bgra8": np.concatenate([rgb[:, :, ::-1], alpha], 2),
        "8uc4": np.concatenate([rgb[:, :, ::-1], alpha], 2),
    }[name]


def _yuv(rgb, name: str):
    """ITU-R BT.601, 16 to 235, as video cameras send it."""
    r, g, b = np.moveaxis(rgb.astype(float), 2, 0)
    y = 16 + 0.25679 * r + 0.50413 * g + 0.09791 * b
    u = 128 - 0.14822 * r - 0.29099 * g + 0.43922 * b
    v = 128 + 0.43922 * r - 0.36779 * g - 0.07143 * b
    y, u, v = (np.clip(np.rint(plane), 0, 255).astype(np.uint8) for plane in (y, u, v))
    if name.startswith("nv"):
        chroma = np.empty((y.shape[0] // 2, y.shape[1]), np.uint8)
        first, second = (u, v) if name == "nv12" else (v, u)
        chroma[:, ::2], chroma[:, 1::2] = first[::2, ::2], second[::2, ::2]
        return np.concatenate([y, chroma])
    chroma = np.where(np.arange(y.shape[1]) % 2 == 0, u, np.roll(v, 1, 1))
    pair = (chroma, y) if name in ("yuv422", "uyvy") else (y, chroma)
    return np.stack(pair, 2)


def storage_file(bag: Path) -> Path:
    """The one file that holds a bag's messages."""
    return bag if bag.is_file() else next(file for file in bag.iterdir() if file.suffix in (".db3", ".mcap"))


def nanoseconds(seconds: float) -> int:
    return round(seconds * 1e6) * 1000
