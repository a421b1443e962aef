"""Says why TF has no transform between two frames."""

import re
from difflib import get_close_matches
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile

from vpr_aesvc.onboard.finding import Finding
from vpr_aesvc.ros.graph import Input, incompatible

_TYPE = "tf2_msgs/msg/TFMessage"
_LISTED = 5  # frames


def missing_transform(buffer: Any, parent: str, child: str, fixed: bool = True, node: Node | None = None) -> Finding:
    """Why a lookup of ``child`` in ``parent`` failed, and what to do; ``str()`` of it is one line.

    Args:
        buffer: ``tf2_ros.Buffer``.
        fixed: the transform is constant, as a camera's mount; else it moves, as the odometry.
        node: to look at the publishers of TF too.
    """
    parents = dict(re.findall(r"^Frame (\S+) exists with parent (\S+)\.$", buffer.all_frames_as_string(), re.MULTILINE))
    frames = {*parents, *parents.values()}
    command = f"ros2 run tf2_ros static_transform_publisher --frame-id {parent} --child-frame-id {child} ..."
    publish = f"publish it: {command}" if fixed else "start the odometry that publishes it"
    if not child or not parent:
        return Finding("error", "the messages have no frame_id", "set the camera's frame_id in its driver")
    if node is not None and (found := _wrong_topic(node, fixed, not frames)):
        return Finding("error", f"no TF from {parent!r} to {child!r}: {found.what}", found.advice)
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
    if not fixed:
        what = f"TF from {parent!r} to {child!r} does not change"
        return Finding("error", what, "check the odometry that publishes it")
    what = f"TF from {parent!r} to {child!r} has no transform at the stamps of the images"
    return Finding("error", what, "check that its publisher and the camera use one clock (use_sim_time)")


def _wrong_topic(node: Node, fixed: bool, is_empty: bool) -> Finding | None:
    """A publisher of TF that is not heard: of another topic, or with another QoS."""
    topic = node.resolve_topic_name("/tf")
    names = [name for name, types in node.get_topic_names_and_types() if _TYPE in types and node.count_publishers(name)]
    others = [name for name in names if name not in (topic, f"{topic}_static")]
    if is_empty and others and len(others) == len(names):
        return Finding(
            "error", f"{topic} is silent, TF is on {others[0]}", f"set tf_topic:={others[0].removesuffix('_static')}"
        )
    qos = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    static = Input(f"{topic}_static", _TYPE, qos, "")
    problems = [incompatible(info, static) for info in node.get_publishers_info_by_topic(static.topic)] if fixed else []
    return next(filter(None, problems), None)


def _root(parents: dict[str, str], frame: str) -> str:
    for _ in parents:  # TF has no loops
        frame = parents.get(frame, frame)
    return frame
