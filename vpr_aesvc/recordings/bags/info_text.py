"""The text of ``vpr bag info``."""

import shlex

from vpr_aesvc.recordings.bags.info import BagInfo, ImageTopicInfo, PoseTopicInfo


def info_lines(info: BagInfo, options: str = "") -> list[str]:
    """The lines of the text. The last one is the next command, with the ``options`` that the user gave."""
    lines = [f"{info.path}: {info.kind}, {info.megabytes:,.1f} MB, {_duration(info.seconds)} from {info.start}"]
    if info.damage:
        lines.append(f"  {info.damage}")
    lines += ["images:", *(_image_line(one) for one in info.images)] if info.images else ["images: none"]
    lines += ["poses:", *(_pose_line(one) for one in info.poses)] if info.poses else ["poses: no pose topic"]
    if info.tf is None:
        lines.append("TF: none")
    else:
        lines.append(f"TF: {len(info.tf.frames)} frames{_unusable(info.tf.unusable)}")
        for camera, chain in info.tf.chains.items():
            lines.append(f"  {_chain_line(camera, chain, camera in info.tf.moving, info.tf.frames)}")
    if not info.camera_info:
        lines.append("camera_info: none")
    lines += [f"camera_info: {topic}: {text}" for topic, text in info.camera_info.items()]
    if info.problem is not None:
        return [*lines, f"no map can be built with these options: {info.problem}"]
    options += " --keep-good" if info.damage else ""
    lines += ["a map would be built from:", *(f"  {line}" for line in info.used)]
    return [*lines, f"next: vpr map build {shlex.quote(info.path)}{options} -m MODEL -o MAP.vprmap"]


def _image_line(one: ImageTopicInfo) -> str:
    if not one.topic.count:
        return f"  {one.topic}: empty"
    size = f"{one.width} x {one.height} " if one.width else ""
    parts = [f"{size}{one.encoding or 'unknown encoding'}", one.stamps.text()]
    if one.megabits is not None:
        parts.append(f"{one.megabits:.1f} Mbit/s")
    frames = [frame or "(none)" for frame in one.frames]
    if frames:
        parts.append(f"{'frame' if len(frames) == 1 else 'frames of several cameras'} {', '.join(frames)}")
    return f"  {one.topic}: {', '.join(parts)}"


def _pose_line(one: PoseTopicInfo) -> str:
    if not one.topic.count:
        return f"  {one.topic}: empty"
    frame = one.frame or "an unnamed frame"
    parts = [f"of {one.child} in {frame}" if one.child else f"in {frame}", one.stamps.text()]
    if one.traveled is not None and one.extent is not None:
        parts.append(f"{one.traveled:.1f} m traveled within {one.extent[0]:.1f} x {one.extent[1]:.1f} m")
    parts += [f"others {frames}: {count}" for frames, count in one.others.items()]
    return f"  {one.topic}: {', '.join(parts)}{_unusable(one.unusable)}"


def _chain_line(camera: str, chain: list[str], moves: bool, frames: list[str]) -> str:
    if len(chain) < 2:
        return f"the camera frame {camera} of the images is not in TF, which has: {', '.join(frames)}"
    return " > ".join(chain) + ("" if moves else ": static, so TF does not give the pose of the camera")


def _unusable(count: int) -> str:
    return f", cannot be used (NaN, no unit quaternion or no position): {count}" if count else ""


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 120 else f"{int(seconds // 60)} min {seconds % 60:.0f} s"
