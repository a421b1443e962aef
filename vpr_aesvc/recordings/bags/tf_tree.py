"""The tree of frames that /tf and /tf_static describe."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from vpr_aesvc.recordings.bags.messages import nanoseconds
from vpr_aesvc.recordings.bags.pose_history import PoseHistory, PoseSamples
from vpr_aesvc.recordings.recording import SkipCounts
from vpr_aesvc.transforms import HERE, compose, inverse, unit
from vpr_aesvc.types import Pose

_LOOK_FIRST = 1000  # transforms that are kept whatever they say, until it is known which lead to the frames that matter


@dataclass(frozen=True)
class Chain:
    """How to come from one frame to another: each step up (backwards) or down an edge of the tree. ``frames`` names them all, in order."""

    steps: tuple[tuple[Pose | PoseHistory, bool], ...]
    frames: tuple[str, ...]

    @property
    def constant(self) -> Pose | None:
        """The inner frame in the outer, where nothing between them moves."""
        return self.at(0.0, 0.0) if not any(isinstance(step, PoseHistory) for step, _ in self.steps) else None

    def settled(self) -> Chain:
        """The same, with what never moved taken as fixed: ROS 1 repeats fixed transforms on /tf."""
        steps = [(step.never_moved or step if isinstance(step, PoseHistory) else step, up) for step, up in self.steps]
        return Chain(tuple(steps), self.frames)

    @property
    def span(self) -> tuple[float, float] | None:
        """Seconds in which all that moves is known; None where nothing moves."""
        spans = [step.span for step, _ in self.steps if isinstance(step, PoseHistory)]
        known = [span for span in spans if span is not None]
        return (max(start for start, _ in known), min(end for _, end in known)) if known else None

    def at(self, stamp: float, received: float) -> Pose | None:
        """The inner frame in the outer; None where an edge is not known at this stamp."""
        pose = HERE
        for step, backwards in self.steps:
            here = step.at(stamp, received) if isinstance(step, PoseHistory) else step
            if here is None:
                return None
            pose = compose(pose, inverse(here) if backwards else here)
        return pose


class TfTree:
    """Args:
    gap: seconds that two transforms of one edge may lie apart.
    wanted: frames whose place is asked for; of a moving tree, only what they hang on is kept.
    """

    def __init__(self, gap: float, wanted: Iterable[str] = ()) -> None:
        self.gap = gap
        self.skip_counts = SkipCounts()
        self._wanted = set(wanted)
        self._seen = 0
        self._static: dict[str, tuple[str, Pose]] = {}
        self._moving: dict[tuple[str, str], PoseSamples] = {}
        self._histories: dict[tuple[str, str], PoseHistory] = {}
        self._above: set[str] = set()

    def add(self, message: Any, received: int, static: bool) -> None:
        """A tf2_msgs/TFMessage, received at ``received`` nanoseconds. What holds NaN or no unit quaternion is counted in ``skip_counts``."""
        for one in message.transforms:
            parent, child = one.header.frame_id.lstrip("/"), one.child_frame_id.lstrip("/")
            edge = parent, child
            new = edge not in self._moving and child not in self._static
            if not static and not new and self._seen > _LOOK_FIRST and self._wanted and child not in self._above:
                continue
            t, q = one.transform.translation, one.transform.rotation
            try:
                pose = unit(t.x, t.y, t.z, q.x, q.y, q.z, q.w)
            except ValueError:
                self.skip_counts.add("transforms that hold NaN or no unit quaternion", f"{parent} to {child}")
                continue
            if static:
                self._static[child] = parent, pose
            else:
                stamp = nanoseconds(one.header.stamp) or received
                self._moving.setdefault(edge, PoseSamples()).add(stamp / 1e9, received / 1e9, pose)
                self._seen += 1
            if new:
                self._above = self._wanted | {frame for one in self._wanted for frame in self._ancestors(one)}

    @property
    def frames(self) -> set[str]:
        return {frame for child, parent in self._parents().items() for frame in (child, parent)}

    def root(self, frame: str) -> str:
        """The frame that hangs on no other, above this one."""
        return ([frame, *self._ancestors(frame)])[-1]

    def is_static(self, child: str) -> bool:
        return child in self._static and not any(edge[1] == child for edge in self._moving)

    def parent(self, child: str) -> str | None:
        return self._parents().get(child)

    def chain(self, outer: str, inner: str) -> Chain | None:
        """How ``inner`` lies in ``outer``; None where they do not hang together."""
        up, down = [outer, *self._ancestors(outer)], [inner, *self._ancestors(inner)]
        common = next((frame for frame in up if frame in down), None)
        if common is None:
            return None
        rise, fall = up[: up.index(common)], down[: down.index(common)][::-1]
        steps = [(self._edge(child), True) for child in rise] + [(self._edge(child), False) for child in fall]
        return Chain(tuple(steps), (*rise, common, *fall))

    def _parents(self) -> dict[str, str]:
        """Of two parents of a frame, that of which more was heard."""
        parents = {child: parent for child, (parent, _) in self._static.items()}
        for parent, child in sorted(self._moving, key=lambda edge: len(self._moving[edge])):
            parents[child] = parent
        return parents

    def _ancestors(self, frame: str) -> list[str]:
        parents, found = self._parents(), [frame]
        while found[-1] in parents and parents[found[-1]] not in found:
            found.append(parents[found[-1]])
        return found[1:]

    def _edge(self, child: str) -> Pose | PoseHistory:
        edge = self._parents()[child], child
        if edge not in self._moving:
            return self._static[child][1]
        if edge not in self._histories:
            self._histories[edge] = PoseHistory(self._moving[edge].table(), self.gap)
        return self._histories[edge]
