"""Says why TF has no transform between two frames."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any

from vpr_aesvc.onboard.checkup import Finding

_LISTED = 5  # frames


def missing_transform(buffer: Any, parent: str, child: str, fixed: bool = True) -> Finding:
    """Why a lookup of ``child`` in ``parent`` failed, and what to do; ``str()`` of it is one line.

    Args:
        buffer: ``tf2_ros.Buffer``.
        fixed: the transform is constant, as a camera's mount; else it moves, as the odometry.
    """
    parents = dict(re.findall(r"^Frame (\S+) exists with parent (\S+)\.$", buffer.all_frames_as_string(), re.MULTILINE))
    frames = {*parents, *parents.values()}
    command = f"ros2 run tf2_ros static_transform_publisher --frame-id {parent} --child-frame-id {child} ..."
    publish = f"publish it: {command}" if fixed else "start the odometry that publishes it"
    if not child or not parent:
        return Finding("error", "the messages have no frame_id", "set the camera's frame_id in its driver")
    if not frames:
        advice = f"start robot_state_publisher, or {publish}" if fixed else publish
        return Finding("error", f"no TF from {parent!r} to {child!r}: nothing came on /tf and /tf_static", advice)
    for name, correct in ((child, "frame_id of the driver" if fixed else "base_frame"), (parent, "parameter")):
        if name not in frames:
            others = sorted(frames - {parent, child})
            similar = get_close_matches(name, others, _LISTED)
            listed = ", ".join(similar or (others if len(others) <= _LISTED else [*others[:_LISTED], "..."]))
            what = f"no TF from {parent!r} to {child!r}: frame {name!r} does not exist; {'similar' if similar else 'TF has'}: {listed}"
            return Finding("error", what, f"correct the name ({correct}), or {publish}")
    roots = [_root(parents, name) for name in (parent, child)]
    if roots[0] != roots[1]:
        what = f"no TF from {parent!r} to {child!r}: nothing connects their trees, {roots[0]!r} and {roots[1]!r}"
        return Finding("error", what, publish.replace(f"--child-frame-id {child}", f"--child-frame-id {roots[1]}"))
    what = f"TF from {parent!r} to {child!r} has no transform at the stamps of the images"
    return Finding("error", what, "check that its publisher and the camera use one clock (use_sim_time)")


def _root(parents: dict[str, str], frame: str) -> str:
    for _ in parents:  # TF has no loops
        frame = parents.get(frame, frame)
    return frame
