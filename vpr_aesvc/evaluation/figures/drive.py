"""The figures of a drive: from above, and the errors of its poses."""

from typing import Any

import numpy as np

from vpr_aesvc.evaluation.calibration import Reliability
from vpr_aesvc.evaluation.drive import BOTH, Drive, Floats
from vpr_aesvc.evaluation.drive_measures import PoseErrors
from vpr_aesvc.evaluation.figures.style import INK, WIDTH, Drawing, figure_style, legend_above

_RIGHT, _WRONG, _FAINT, _RUN = "#157f3d", "#d62728", "#8a94a3", "#2a86c8"
_GAP = "#e69f00"
_MAX_HEIGHT, _MIN_HEIGHT = 5.6, 3.4  # inches
_RASTER_FROM = 2000  # frames; from there dots are drawn as pixels, else the SVG is too large to open


@figure_style()
def trajectory_drawing(drive: Drive, threshold: float, gap: tuple[int, int]) -> Drawing:
    """The places of the map, the run, and a line from each frame to the place it was matched with, by sequence and geometry.

    Args:
        threshold: meters within which a match is right. gap: the first and the last frame of the longest interval without one.
    """
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure

    frames, matches = drive.column("position")[:, :2], drive.column("position", BOTH)[:, :2]
    figure = Figure(figsize=_size(np.vstack([frames, drive.places[:, :2]])), layout="constrained")
    axes = figure.subplots()
    axes.set_aspect("equal", adjustable="datalim")
    handles: list[tuple[Any, str]] = []
    dots: dict[str, Any] = {"linewidths": 0, "rasterized": len(drive) > _RASTER_FROM}
    if not drive.loops:
        x, y = drive.places[:, :2].T
        places = axes.scatter(x, y, s=16 * _dot_scale(len(drive.places)), color=INK, alpha=0.28, zorder=1, **dots)
        handles.append((places, f"places of the map ({len(drive.places)})"))
    (run,) = axes.plot(frames[:, 0], frames[:, 1], color=_RUN, linewidth=1.3, alpha=0.75, zorder=2)
    start = axes.scatter(frames[:1, 0], frames[:1, 1], s=70, marker="^", color=_RUN, zorder=6)
    handles += [(run, "the run"), (start, "its start")]
    if gap[0] < gap[1]:
        part = frames[gap[0] : gap[1] + 1]
        (band,) = axes.plot(
            part[:, 0], part[:, 1], color=_GAP, linewidth=9, alpha=0.4, solid_capstyle="round", zorder=1.5
        )
        handles.append((band, "longest gap"))
    accepted, near = drive.column("accepted", BOTH), drive.column("error", BOTH) <= threshold
    faint = float(np.clip(30 / max(1, int((~accepted).sum())), 0.06, 0.3))
    groups = (  # rows, label, color, dot size, line width and alpha
        (~accepted, "not accepted", _FAINT, 8, 0.6, faint),
        (accepted & near, "accepted, right", _RIGHT, 26, 1.4, 0.8),
        (accepted & ~near, "accepted, wrong", _WRONG, 26, 1.4, 0.95),
    )
    for order, (rows, label, color, size, width, alpha) in enumerate(groups, 3):
        if not rows.any():
            continue
        ends = list(np.stack([frames[rows], matches[rows]], axis=1))
        line: dict[str, Any] = {"linewidths": width, "alpha": alpha, "rasterized": dots["rasterized"]}
        axes.add_collection(LineCollection(ends, colors=color, zorder=order, **line))
        x, y = frames[rows].T
        drawn = axes.scatter(x, y, s=size * _dot_scale(len(drive)), color=color, zorder=order + 0.1, **dots)
        handles.append((drawn, f"{label} ({int(rows.sum())})"))
    axes.autoscale_view()
    axes.margins(0.06)
    axes.set_xlabel("x [m]")
    axes.set_ylabel("y [m]")
    artists, labels = zip(*handles, strict=True)
    place: dict[str, Any] = {"loc": "outside upper center", "ncols": 2, "columnspacing": 1.2, "handletextpad": 0.5}
    for handle in figure.legend(artists, labels, **place).legend_handles:
        if handle is not None and hasattr(handle, "set_sizes"):
            handle.set_sizes([36])  # large enough to be seen
    caption = (
        f"Seen from above, with sequence and geometry. Each frame is a dot with a line to its best match: green where the match was accepted and lies within "
        f"{threshold:g} m, red where it was accepted and does not, faint where it was not accepted. Where the run follows the map closely, right lines are "
        "as short as their dots, and wrong ones stand out. The broad band is the longest gap: the longest interval without a right match. "
    )
    caption += "The places are the run's own earlier keyframes." if drive.loops else "Gray dots are the map's places."
    return Drawing("trajectory", "The run from above", caption, figure)


@figure_style()
def pose_error_drawing(poses: PoseErrors) -> Drawing:
    """The part of the accepted matches whose pose is off by less than a distance."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, 2.8), layout="constrained")
    axes = figure.subplots()
    part = (np.arange(len(poses.meters)) + 1) / len(poses.meters)
    lines = [("metric pose", poses.meters, _RIGHT, "-"), ("pose of the place", poses.place_meters, _FAINT, (0, (4, 2)))]
    for label, meters, color, style in lines:
        axes.step(np.sort(meters).clip(1e-3), part, where="post", label=label, color=color, linestyle=style)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("error of the position [m]")
    axes.set_ylabel("part of the matches")
    legend_above(figure, *axes.get_legend_handles_labels())
    caption = f"The {len(poses.meters)} accepted matches with a metric pose: how far that, and the pose of the place, are from the frame's own pose."
    return Drawing("pose_errors", "Errors of the poses", caption, figure)


@figure_style()
def reliability_drawing(reliability: Reliability) -> Drawing:
    """The part of the matches that is right against their probability, in bins."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=_FAINT, linestyle=(0, (4, 2)))
    filled = reliability.counts > 0
    area = 14 + 240 * reliability.counts[filled] / reliability.counts.sum()
    axes.scatter(
        reliability.predicted[filled], reliability.observed[filled], area, color=_RIGHT, clip_on=False, zorder=3
    )
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.set(xlabel="probability of the best match", ylabel="part that is right")
    caption = (
        "The best match of every frame, with sequence and geometry, in ten bins of its probability: a dot is a bin, its area the number of frames. On the "
        "dashed line the probability is correct; below it recognition is too sure, above it not sure enough. The calibration error is the mean distance "
        f"from the line over the frames: {reliability.error:.3f}."
    )
    return Drawing("reliability", "Is the probability correct?", caption, figure)


def _dot_scale(count: int) -> float:
    """Factor for the area of dots: many dots must not hide one another."""
    return float(np.clip(300 / max(1, count), 0.2, 1.0))


def _size(points: Floats) -> tuple[float, float]:
    """Inches, in the proportions of the points."""
    points = points[np.isfinite(points).all(1)]
    width, height = np.maximum(np.ptp(points, axis=0), 1e-3) if len(points) else (1.0, 1.0)
    return WIDTH, float(np.clip(WIDTH * height / width + 1.2, _MIN_HEIGHT, _MAX_HEIGHT))
