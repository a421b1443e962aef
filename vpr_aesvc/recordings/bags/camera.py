"""The camera's pose on the robot (extrinsics) and its intrinsics."""

from dataclasses import dataclass
from typing import Any

from vpr_aesvc.calibration import named_intrinsics
from vpr_aesvc.errors import VprError
from vpr_aesvc.recordings.bags.tf_tree import TfTree, TransformChain
from vpr_aesvc.transforms import IDENTITY, as_body, is_optical
from vpr_aesvc.types import Intrinsics, Pose

BASE_FRAMES = ("base_link", "base_footprint", "base")


@dataclass(frozen=True)
class Extrinsics:
    """The pose of the camera (x forward, y left, z up) in the base frame: ``fixed``, or given by ``chain`` if the camera moves on the base.

    ``optical``: the source frame of ``chain`` is an optical frame (z forward, x right, y down).
    """

    fixed: Pose
    chain: TransformChain | None = None
    optical: bool = False

    def at(self, stamp: float, received: float) -> Pose | None:
        if self.chain is None:
            return self.fixed
        frame = self.chain.at(stamp, received)
        return None if frame is None else as_body(frame, self.optical)


def camera_extrinsics(tree: TfTree, base: str, camera: str, time: tuple[float, float]) -> tuple[Extrinsics, str]:
    """The extrinsics, and a note on how they were found.

    Args:
        base: the frame whose pose is known.
        camera: the frame in the headers of the images; empty if they name none.
        time: stamp and time of reception of the first image, seconds. A moving camera's axes are judged then.
    """
    at_base = f"the camera is assumed at {base or 'the base'}, looking forward"
    if not camera:
        return Extrinsics(IDENTITY), f"the images name no frame: {at_base}"
    if camera == base:
        optical = is_optical(camera, None)
        note = f"the poses are those of the camera frame {camera}{_axes(optical)}"
        return Extrinsics(as_body(IDENTITY, optical)), note
    chain = tree.lookup(base, camera)
    if chain is None:
        return Extrinsics(IDENTITY), f"no transform from {base or 'the base'} to {camera}: {at_base}"
    chain = chain.with_static_steps()
    frames = " > ".join(chain.frames)
    fixed = chain.static_pose
    optical = is_optical(camera, fixed or chain.at(*time))
    if fixed is None:
        return Extrinsics(IDENTITY, chain, optical), f"camera {camera} moves on {base} ({frames}){_axes(optical)}"
    position = f"{fixed.x:.2f} m forward, {fixed.y:.2f} m left, {fixed.z:.2f} m up of {base}"
    return Extrinsics(as_body(fixed, optical)), f"camera {camera}: {position} ({frames}){_axes(optical)}"


def find_base_frame(tree: TfTree, camera: str, named: str | None = None) -> str:
    """The robot's frame: the ``named`` one, else one of the usual names in TF, else the frame that the camera is fixed to; empty if unknown."""
    frames = tree.frames
    if named and (named in frames or named == camera or not frames):
        return named
    for name in BASE_FRAMES:
        if name in frames:
            return name
    top = camera
    while top in frames and tree.is_static(top):
        top = tree.parent(top) or top
    return named or top


def read_intrinsics(info: Any, rectified: bool, size: tuple[int, int] | None) -> tuple[Intrinsics | None, str]:
    """The intrinsics in a sensor_msgs/CameraInfo, in pixels of the images, and a note; None if the camera is not calibrated, of an unknown
    distortion model, or calibrated at another aspect ratio.

    Args:
        rectified: the images are rectified: the projection matrix P applies instead of K, and there is no distortion.
        size: (width, height) of the images if known; the intrinsics are scaled to it.
    """
    k, p, d = ([float(value) for value in getattr(info, name, getattr(info, name.upper(), ()))] for name in "kpd")
    fx, fy, cx, cy = (p[0], p[5], p[2], p[6]) if rectified and p[0] > 0 else (k[0], k[4], k[2], k[5])
    if not min(fx, fy) > 0:
        return None, f"camera_info has no focal length (fx {fx:g}, fy {fy:g}): the camera is not calibrated"
    of = (int(info.width), int(info.height))
    try:
        model, lens = ("", []) if rectified else (getattr(info, "distortion_model", ""), d)
        intrinsics = named_intrinsics((fx, fy, cx, cy), model, lens)
        if size is not None and min(of) > 0:
            intrinsics = intrinsics.fitted(of, size)
    except VprError as error:
        return None, f"camera_info: {error}: the intrinsics are not known"
    return intrinsics, f"intrinsics: {intrinsics}" + ("" if size in (None, of) else f", scaled from {of[0]} x {of[1]}")


def is_rectified(camera: str) -> bool:
    """Whether a base topic is of rectified images by its name, such as ``/camera/image_rect``."""
    return "rect" in camera.rpartition("/")[2]


def _axes(optical: bool) -> str:
    return ", an optical frame" if optical else ", a frame with x forward"
