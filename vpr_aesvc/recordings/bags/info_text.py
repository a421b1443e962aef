"""What a bag holds, line by line for a reader."""

from __future__ import annotations

import shlex

from vpr_aesvc.recordings.bags.info import BagInfo, ImageFacts, PoseFacts


def info_lines(info: BagInfo, given: str = "") -> list[str]:
    """The whole account; the last line is what to do next, with the options that were ``given``."""
    lines = [f"{info.path}: {info.kind}, {info.megabytes:,.1f} MB, {_time(info.seconds)} from {info.start}"]
    if info.damage:
        lines.append(f"  {info.damage}")
    lines += ["images:", *(_image(one) for one in info.images)] if info.images else ["images: none"]
    lines += ["poses:", *(_pose(one) for one in info.poses)] if info.poses else ["poses: no topic of poses"]
    if info.tf is None:
        lines.append("TF: none")
    else:
        lines.append(f"TF: {len(info.tf.frames)} frames{_unusable(info.tf.unusable)}")
        for camera, chain in info.tf.chains.items():
            lines.append(f"  {_chain(camera, chain, camera in info.tf.moving, info.tf.frames)}")
    if not info.camera_info:
        lines.append("camera_info: none")
    lines += [f"camera_info: {topic}: {words}" for topic, words in info.camera_info.items()]
    if info.problem is not None:
        return [*lines, f"vpr cannot use it as it is: {info.problem}"]
    given += " --keep-good" if info.damage else ""
    lines += ["vpr would use", *(f"  {line}" for line in info.used)]
    return [*lines, f"next: vpr map build {shlex.quote(info.path)}{given} -m MODEL -o MAP.vprmap"]


def _image(one: ImageFacts) -> str:
    size = f"{one.width} x {one.height} " if one.width else ""
    parts = [f"{size}{one.encoding or 'of an unknown encoding'}", one.stamps.words()]
    if one.megabits is not None:
        parts.append(f"{one.megabits:.1f} Mbit/s")
    frames = [frame or "no frame" for frame in one.frames]
    if frames:
        parts.append(f"frame{'' if len(frames) == 1 else 's of several cameras'} {', '.join(frames)}")
    return f"  {one.topic}: {', '.join(parts) if one.topic.count else 'empty'}"


def _pose(one: PoseFacts) -> str:
    if not one.topic.count:
        return f"  {one.topic}: empty"
    parts = [
        f"of {one.child} in {one.frame}" if one.child else f"in {one.frame or 'a frame without a name'}",
        one.stamps.words(),
    ]
    if one.traveled is not None and one.extent is not None:
        parts.append(f"{one.traveled:.1f} m traveled within {one.extent[0]:.1f} x {one.extent[1]:.1f} m")
    return f"  {one.topic}: {', '.join(parts)}{_unusable(one.unusable)}"


def _chain(camera: str, chain: list[str], moves: bool, frames: list[str]) -> str:
    if len(chain) < 2:
        return f"{camera}, which the images name, is none of them: {', '.join(frames)}"
    return " > ".join(chain) + ("" if moves else ": nothing of it moves, so that TF does not say where the camera was")


def _unusable(count: int) -> str:
    return f", not usable (NaN, no unit quaternion or no position): {count}" if count else ""


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 120 else f"{int(seconds // 60)} min {seconds % 60:.0f} s"
