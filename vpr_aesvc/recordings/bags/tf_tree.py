"""The tree of coordinate frames in ``/tf`` and ``/tf_static``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.frame_source import SkipCounts
from vpr_aesvc.recordings.bags.messages import nanoseconds
from vpr_aesvc.recordings.pose_checks import odd_motion
from vpr_aesvc.recordings.pose_history import PoseHistory, PoseSamples
from vpr_aesvc.transforms import IDENTITY, compose, inverse, normalized_pose
from vpr_aesvc.types import Pose

_BUFFER = 10.0  # seconds that tf2 keeps, hence the longest time over which it interpolates
_KEEP_ALL = 1000  # moving transforms that are kept before those that no wanted frame depends on are dropped


@dataclass(frozen=True)
class TransformChain:
    """The transforms between a target and a source frame, as tf2's ``lookupTransform`` combines them.

    Attributes:
        steps: a transform each, and whether it is inverted (a step up the tree, from child to parent).
        frames: their names from target to source.
    """

    steps: tuple[tuple[Pose | PoseHistory, bool], ...]
    frames: tuple[str, ...]

    @property
    def static_pose(self) -> Pose | None:
        """The source frame in the target frame; None if a transform between them moves."""
        return self.at(0.0, 0.0) if not any(isinstance(step, PoseHistory) for step, _ in self.steps) else None

    def with_static_steps(self) -> TransformChain:
        """The same chain; transforms on ``/tf`` that never change become static. ROS 1 repeats static transforms on ``/tf``."""
        steps = [(step.never_moved or step if isinstance(step, PoseHistory) else step, up) for step, up in self.steps]
        return TransformChain(tuple(steps), self.frames)

    @property
    def span(self) -> tuple[float, float] | None:
        """Stamps (seconds) between which all moving transforms are known; None if none moves."""
        spans = [step.span for step, _ in self.steps if isinstance(step, PoseHistory)]
        known = [span for span in spans if span is not None]
        return (max(start for start, _ in known), min(end for _, end in known)) if known else None

    def at(self, stamp: float, received: float) -> Pose | None:
        """The source frame in the target frame; None if a transform is not known at this stamp."""
        pose = IDENTITY
        for step, inverted in self.steps:
            transform = step.at(stamp, received) if isinstance(step, PoseHistory) else step
            if transform is None:
                return None
            pose = compose(pose, inverse(transform) if inverted else transform)
        return pose


class TfTree:
    """Args:
    gap: transforms are interpolated between two that are at most this many seconds apart; one that comes more slowly, between two that are at
        most 1.5 times its usual period apart, as tf2 does.
    wanted: frames that will be looked up. Of a large moving tree, only their ancestors are kept.
    """

    def __init__(self, gap: float, wanted: Iterable[str] = ()) -> None:
        self.gap = gap
        self.skip_counts = SkipCounts()
        self._wanted = set(wanted)
        self._moving_count = 0
        self._static: dict[str, tuple[str, Pose]] = {}
        self._moving: dict[tuple[str, str], PoseSamples] = {}
        self._histories: dict[tuple[str, str], PoseHistory] = {}
        self._needed: set[str] = set()

    def add(self, message: Any, received: int, static: bool) -> None:
        """Adds a tf2_msgs/TFMessage, received at ``received`` nanoseconds. Invalid transforms are counted in ``skip_counts``."""
        for one in message.transforms:
            parent, child = one.header.frame_id.lstrip("/"), one.child_frame_id.lstrip("/")
            edge = parent, child
            is_new = edge not in self._moving and child not in self._static
            can_drop = not static and not is_new and self._moving_count > _KEEP_ALL and self._wanted
            if can_drop and child not in self._needed:
                continue
            t, q = one.transform.translation, one.transform.rotation
            try:
                pose = normalized_pose(t.x, t.y, t.z, q.x, q.y, q.z, q.w)
            except ValueError:
                self.skip_counts.add("transforms with NaN or without a unit quaternion", f"{parent} to {child}")
                continue
            if static:
                self._static[child] = parent, pose
            else:
                stamp = nanoseconds(one.header.stamp) or received
                self._moving.setdefault(edge, PoseSamples()).add(stamp / 1e9, received / 1e9, pose)
                self._moving_count += 1
            if is_new:
                self._needed = self._wanted | {frame for one in self._wanted for frame in self._ancestors(one)}

    @property
    def frames(self) -> set[str]:
        return {frame for child, parent in self._parents().items() for frame in (child, parent)}

    def root(self, frame: str) -> str:
        """The root of this frame's tree."""
        return [frame, *self._ancestors(frame)][-1]

    def is_static(self, child: str) -> bool:
        return child in self._static and not any(edge[1] == child for edge in self._moving)

    def parent(self, child: str) -> str | None:
        return self._parents().get(child)

    def lookup(self, target: str, source: str) -> TransformChain | None:
        """The transforms from ``target`` to ``source``; None if they are in different trees."""
        up, down = [target, *self._ancestors(target)], [source, *self._ancestors(source)]
        common = next((frame for frame in up if frame in down), None)
        if common is None:
            return None
        rise, fall = up[: up.index(common)], down[: down.index(common)][::-1]
        steps = [(self._edge(child), True) for child in rise] + [(self._edge(child), False) for child in fall]
        return TransformChain(tuple(steps), (*rise, common, *fall))

    def notes(self, *chains: TransformChain) -> list[str]:
        """What is odd about the moving transforms of these chains, one sentence each. Those with another parent are counted in ``skip_counts``."""
        notes = []
        pairs = [pair for chain in chains for pair in pairwise(chain.frames)]
        for pair in pairs:
            for parent, child in {pair, pair[::-1]} & self._histories.keys():
                name, table = f"TF {parent} > {child}", self._moving[parent, child].table()
                notes += odd_motion(table[:, 0], table[:, 2:], name)
                period, gap = self._period_and_gap(table[:, 0])
                if gap > self.gap:
                    notes.append(
                        f"{name} comes every {period:.2g} s: an image between two at most {gap:.2g} s apart gets a pose"
                    )
                elif period > gap:
                    notes.append(
                        f"{name} comes every {period:.2g} s, further apart than --pose-gap {gap:g}: images between get no pose"
                    )
                for other, samples in self._moving.items():
                    if other[1] == child and other[0] != parent:
                        reason = f"transforms of {child} in another frame"
                        self.skip_counts.add(reason, f"in {other[0]}, not in {parent}", len(samples))
        return notes

    def _period_and_gap(self, stamps: NDArray[np.float64]) -> tuple[float, float]:
        steps = np.diff(np.unique(stamps))
        period = float(np.median(steps)) if len(steps) else 0.0
        return period, 1.5 * period if self.gap < period <= _BUFFER else self.gap

    def _parents(self) -> dict[str, str]:
        """The parent of each frame; of two parents, the one with more transforms."""
        parents = {child: parent for child, (parent, _) in self._static.items()}
        for parent, child in sorted(self._moving, key=lambda edge: len(self._moving[edge])):
            parents[child] = parent
        return parents

    def _ancestors(self, frame: str) -> list[str]:
        parents, chain = self._parents(), [frame]
        while chain[-1] in parents and parents[chain[-1]] not in chain:
            chain.append(parents[chain[-1]])
        return chain[1:]

    def _edge(self, child: str) -> Pose | PoseHistory:
        edge = self._parents()[child], child
        if edge not in self._moving:
            return self._static[child][1]
        if edge not in self._histories:
            table = self._moving[edge].table()
            self._histories[edge] = PoseHistory(table, self._period_and_gap(table[:, 0])[1])
        return self._histories[edge]
