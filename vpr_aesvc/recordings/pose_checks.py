"""Poses that no robot can have had: jumps, two sources in one, wrong units. Nothing is changed; the user is told."""

import numpy as np
from numpy.typing import ArrayLike

_FASTEST = 100.0  # m/s; no ground robot, car or small drone
_SLIP = 50.0  # m/s, as the usual speed: that of a slow robot in millimeters, and only of the fastest trains in meters
_JUMP, _TIMES, _SLOWEST = 1.0, 10.0, 10.0  # m; times the usual speed, which counts as 1 m/s at the least
_TURN = 10.0  # rad/s, as the speed of one turn in twenty: 570 degrees/s
_AWAY = 4.0  # times a short way over two steps
_FEW = 5  # steps; fewer show no habit


def odd_motion(stamps: ArrayLike, table: ArrayLike, name: str) -> list[str]:
    """What is impossible in a trajectory, one sentence each.

    Args:
        stamps: [n], seconds, in the order received or rising. A step back by a second or more is not judged: the clock was set.
        table: [n, 3] of x, y, z in meters, or [n, 7] with a unit quaternion; rotations are judged only if given.
        name: what the sentences call the poses, such as their topic or file.
    """
    times, rows = np.asarray(stamps, np.float64), np.asarray(table, np.float64)
    if len(times) < 3 or not np.diff(times).any():
        return []
    steps = np.linalg.norm(np.diff(rows[:, :3], axis=0), axis=1)
    seconds = np.abs(np.diff(times))
    seconds = np.maximum(seconds, np.quantile(seconds[seconds > 0], 0.75) / 2)  # messages that came in one burst
    same_run = np.diff(times) > -1.0
    speeds = np.where(same_run, steps / seconds, 0.0)
    moving = speeds[speeds > 0.05]
    usual = float(np.median(moving)) if len(moving) >= max(_FEW, 0.05 * len(steps)) else 0.0

    over_two = np.linalg.norm(rows[2:, :3] - rows[:-2, :3], axis=1)
    shorter = np.minimum(steps[:-1], steps[1:])
    away = (shorter > max(0.2, _AWAY * float(np.quantile(over_two, 0.2)))) & (over_two < shorter / 4)
    away &= np.minimum(speeds[:-1], speeds[1:]) > 3.0
    if away.sum() >= max(_FEW, 0.02 * len(times)):
        first = float(times[1:-1][away][0])
        return [
            f"{name}: {away.sum()} of {len(times)} poses jump away and back, by {np.median(shorter[away]):.2f} m, the first at {first:.3f} s: "
            "two sources in one, which contradict each other"
        ]
    if usual > _SLIP:
        return [
            f"{name}: the usual speed is {usual:.0f} m/s: the positions may be in millimeters, not in meters, unless this was a fast train or an aircraft"
        ]

    notes = []
    limit = min(_FASTEST, max(_SLOWEST, _TIMES * usual))
    if len(jumps := np.flatnonzero((speeds > limit) & (steps > _JUMP))):
        some = ", ".join(f"{steps[at]:.1f} m in {seconds[at]:.2f} s at {times[at + 1]:.3f} s" for at in jumps[:3])
        notes.append(
            f"{name}: {len(jumps)} jump{'s' * (len(jumps) > 1)} faster than a robot moves ({some}{' ...' * (len(jumps) > 3)}; usually {usual:.1f} m/s): "
            "an outlier, a correction of SLAM, or a robot that was carried"
        )
    if rows.shape[1] == 7:
        turns = 2 * np.arccos(np.minimum(np.abs((rows[1:, 3:] * rows[:-1, 3:]).sum(axis=1)), 1.0)) / seconds
        fast = turns[same_run & (turns > _TURN)]
        if len(fast) >= max(_FEW, 0.05 * len(turns)):
            notes.append(f"{name}: turns of {np.median(fast):.0f} rad/s: the angles may be in degrees, not in radians")
    return notes
