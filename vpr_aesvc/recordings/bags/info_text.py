"""The text of ``vpr bag info``."""

import shlex

from vpr_aesvc.recordings.bags.info import BagInfo, ImageTopicInfo, PoseTopicInfo, Stamps


def info_lines(info: BagInfo, options: str = "") -> list[str]:
    """The lines of the text. The last one is the next command, with the ``options`` that the user gave."""
    lines = [f"{info.path}: {info.kind}, {info.megabytes:,.1f} MB, {info.seconds:.1f} s from {info.start}"]
    if info.damage:
        lines.append(f"  {info.damage}")
    lines += ["images:", *(_image_line(one) for one in info.images)] if info.images else ["images: none"]
    lines += ["poses:", *(_pose_line(one) for one in info.poses)] if info.poses else ["poses: no pose topic"]
    lines.append(f"TF: {len(info.tf)} frames: {', '.join(info.tf)}" if info.tf else "TF: none")
    if info.problem is not None:
        return [*lines, f"no map can be built with these options: {info.problem}"]
    options += " --keep-good" if info.damage else ""
    lines += ["a map would be built from:", *(f"  {line}" for line in info.used)]
    return [*lines, f"next: vpr map build {shlex.quote(info.path)}{options} -m MODEL -o MAP.vprmap"]


def _image_line(one: ImageTopicInfo) -> str:
    if not one.topic.count:
        return f"  {one.topic}: empty"
    size = f"{one.width} x {one.height} " if one.width else ""
    parts = [f"{size}{one.encoding or 'unknown encoding'}", _stamps(one.stamps)]
    frames = [frame or "(none)" for frame in one.frames]
    if frames:
        parts.append(f"{'frame' if len(frames) == 1 else 'frames of several cameras'} {', '.join(frames)}")
    return f"  {one.topic}: {', '.join(parts)}"


def _pose_line(one: PoseTopicInfo) -> str:
    if not one.topic.count:
        return f"  {one.topic}: empty"
    frame = one.frame or "an unnamed frame"
    parts = [f"of {one.child} in {frame}" if one.child else f"in {frame}", _stamps(one.stamps)]
    if one.traveled is not None and one.extent is not None:
        parts.append(f"{one.traveled:.1f} m traveled within {one.extent[0]:.1f} x {one.extent[1]:.1f} m")
    parts += [f"others {frames}: {count}" for frames, count in one.others.items()]
    if one.unusable:
        parts.append(f"cannot be used (NaN, no unit quaternion or no position): {one.unusable}")
    return f"  {one.topic}: {', '.join(parts)}"


def _stamps(stamps: Stamps) -> str:
    if stamps.rate is None or stamps.longest is None:
        parts = ["too few messages for a rate"]
    else:
        parts = [f"{stamps.rate:.1f} Hz, at most {stamps.longest:.2f} s apart"]
    odd = {"zero stamps": stamps.zero, "stamps that go back": stamps.back, "repeated stamps": stamps.equal}
    return ", ".join([*parts, *(f"{name}: {count}" for name, count in odd.items() if count)])
