"""Where the camera sits on the robot, and its intrinsics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vpr_aesvc.errors import VprError
from vpr_aesvc.recordings.bags.tf_tree import Chain, TfTree
from vpr_aesvc.transforms import IDENTITY, as_body, is_optical
from vpr_aesvc.types import Intrinsics, Pose

BASES = ("base_link", "base_footprint", "base")


@dataclass(frozen=True)
class Mount:
    """The camera, with a body's axes (x where it looks, z up), in the base's frame. ``chain`` is set where it moves there, as on a
    turning head; the frame at its end is an optical one if ``optical``."""

    fixed: Pose
    chain: Chain | None = None
    optical: bool = False

    def at(self, stamp: float, received: float) -> Pose | None:
        if self.chain is None:
            return self.fixed
        frame = self.chain.at(stamp, received)
        return None if frame is None else as_body(frame, self.optical)


def mount(tree: TfTree, base: str, camera: str, when: tuple[float, float]) -> tuple[Mount, str]:
    """The camera on the base, and in words how that was found.

    Args:
        base: the frame whose pose is known.
        camera: the frame that the images name; empty where they name none.
        when: stamp and time of reception of the first image, for a camera that moves on its base.
    """
    if not camera:
        return Mount(
            IDENTITY
        ), f"the images name no frame: the camera is taken to be at {base or 'the base'}, looking forward"
    if camera == base:
        optical = is_optical(camera, None)
        return Mount(as_body(IDENTITY, optical)), f"the poses are those of the camera's frame {camera}{_axes(optical)}"
    chain = tree.chain(base, camera)
    if chain is None:
        return Mount(IDENTITY), (
            f"no transform from {base or 'the base'} to {camera}: the camera is taken to be at "
            f"{base or 'the base'}, looking forward"
        )
    chain = chain.settled()
    way = " > ".join(chain.frames)
    fixed = chain.constant
    first = fixed or chain.at(*when)
    optical = is_optical(camera, first)
    if fixed is None:
        return Mount(IDENTITY, chain, optical), f"camera {camera} moves on {base} ({way}){_axes(optical)}"
    there = f"{fixed.x:.2f} m ahead, {fixed.y:.2f} m to the left, {fixed.z:.2f} m up of {base}"
    return Mount(as_body(fixed, optical)), f"camera {camera}: {there} ({way}){_axes(optical)}"


def guess_base(tree: TfTree, camera: str, said: str | None = None) -> str:
    """The robot's frame: as a message says, else by its usual names, else what the camera is fixed to; empty where nothing says."""
    frames = tree.frames
    if said and (said in frames or said == camera or not frames):
        return said
    for name in BASES:
        if name in frames:
            return name
    top = camera
    while top in frames and tree.is_static(top):
        top = tree.parent(top) or top
    return said or top


def intrinsics_of(info: Any, rectified: bool, size: tuple[int, int] | None) -> tuple[Intrinsics | None, str]:
    """From a sensor_msgs/CameraInfo, in pixels of the images; None where it says nothing; and in words.

    Args:
        rectified: the images are: then the projection matrix holds, and there is no distortion.
        size: width and height of the images, where known; an image half as large as the camera says has half the focal length.
    """
    k = [float(value) for value in (info.k if hasattr(info, "k") else info.K)]
    p = [float(value) for value in (info.p if hasattr(info, "p") else info.P)]
    d = [float(value) for value in (info.d if hasattr(info, "d") else info.D)]
    fx, fy, cx, cy = (p[0], p[5], p[2], p[6]) if rectified and p[0] > 0 else (k[0], k[4], k[2], k[5])
    across, down = 1.0, 1.0
    if size is not None and info.width and info.height:
        across, down = size[0] / info.width, size[1] / info.height
    try:
        found = Intrinsics(fx * across, fy * down, (cx + 0.5) * across - 0.5, (cy + 0.5) * down - 0.5)
    except VprError:
        return None, f"camera_info says no focal length (fx {fx:g}, fy {fy:g}): not calibrated"
    words = f"intrinsics: fx {found.fx:.1f}, fy {found.fy:.1f}, cx {found.cx:.1f}, cy {found.cy:.1f}"
    if (across, down) != (1.0, 1.0):
        words += f", scaled from {info.width} x {info.height}"
    if not rectified and any(d):
        words += f"; the distortion ({info.distortion_model or 'of an unnamed model'}) is not undone"
    return found, words


def _axes(optical: bool) -> str:
    return ", an optical frame" if optical else ", with a body's axes"
