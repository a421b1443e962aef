"""The figures of a drive: from above, and over time."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.evaluation.drive import BOTH, Drive, Floats
from vpr_aesvc.evaluation.drive_measures import PoseErrors
from vpr_aesvc.evaluation.figures.style import INK, Drawing, figure_style, legend_above

_RIGHT, _WRONG, _FAINT, _RUN = "#157f3d", "#d62728", "#8a94a3", "#2a86c8"
_WIDTH, _MAX_HEIGHT, _MIN_HEIGHT = 6.4, 8.0, 3.2  # inches
_RASTER_FROM = 2000  # frames; from there dots are drawn as pixels, else the SVG is too large to open
_MIN_ERROR = 0.1  # meters; smaller errors are drawn there


@figure_style()
def trajectory_drawing(drive: Drive, variant: str, threshold: float) -> Drawing:
    """The places of the map, the run, and a line from each frame to the place it was matched with.

    Args:
        variant: whose matches are drawn.
        threshold: meters within which a match is right.
    """
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure

    frames, matches = drive.column("position")[:, :2], drive.column("position", variant)[:, :2]
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
    groups = _groups(drive, variant, threshold)
    faint = float(np.clip(30 / max(1, int(groups[0][0].sum())), 0.06, 0.3))
    looks = ((8, 0.6, faint), (26, 1.4, 0.8), (26, 1.4, 0.95))  # dot size, line width and alpha of each group
    for order, ((rows, color, label), (size, width, alpha)) in enumerate(zip(groups, looks, strict=True), 3):
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
    _dot_legend(figure, handles, 3)
    caption = (
        f"Seen from above, {_variant_text(variant)}. Each frame is a dot with a line to its best match: green where the match was accepted and lies within "
        f"{threshold:g} m, red where it was accepted and does not, faint where it was not accepted. Where the run follows the map closely, right lines are "
        "as short as their dots, and wrong ones stand out. "
    )
    caption += "The places are the run's own earlier keyframes." if drive.loops else "Gray dots are the map's places."
    return Drawing("trajectory", "The run from above", caption, figure)


@figure_style()
def time_drawing(drive: Drive, variant: str, threshold: float) -> Drawing:
    """Error, probability and accepted matches over the run."""
    from matplotlib.figure import Figure

    times, error, probability = drive.times, drive.column("error", variant), drive.column("probability", variant)
    has_times = bool(np.isfinite(times).all())
    x = times if has_times else drive.column("driven")
    matched = np.isfinite(error)
    scale, rasterized = _dot_scale(len(drive)), len(drive) > _RASTER_FROM
    stroke = float(np.clip(400 / max(1, len(drive)), 0.3, 1.4))  # points; the width that one frame has
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    above, below, strip = figure.subplots(3, 1, sharex=True, height_ratios=[5, 4, 1])
    looks = (("o", 9, stroke / 3), ("o", 16, stroke), ("X", 34, max(stroke, 0.8)))  # marker, dot size, line width
    handles: list[tuple[Any, str]] = []
    for (rows, color, label), (marker, size, width) in zip(_groups(drive, variant, threshold), looks, strict=True):
        dots: dict[str, Any] = {"color": color, "s": size * scale, "marker": marker, "linewidths": 0, "clip_on": False}
        dots |= {"rasterized": rasterized, "zorder": 3}
        drawn = above.scatter(x[rows & matched], np.maximum(error[rows & matched], _MIN_ERROR), **dots)
        below.scatter(x[rows], probability[rows], **dots)
        strip.vlines(x[rows], 0, 1, color=color, linewidth=width, rasterized=rasterized)
        if rows.any():
            handles.append((drawn, label))
    limit = above.axhline(threshold, color=INK, linewidth=0.9, linestyle=(0, (4, 2)))
    handles.append((limit, f"{threshold:g} m"))
    above.set_yscale("log")
    above.set_ylim(_MIN_ERROR, max(float(error[matched].max(initial=0)), threshold) * 1.6)
    above.yaxis.set_major_formatter("{x:g}")
    above.yaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "25" else "")
    above.set_ylabel("error [m]")
    below.set_ylim(-0.03, 1.03)
    below.set_ylabel("probability")
    strip.set_ylim(0, 1)
    strip.set_yticks([])
    strip.grid(False)
    strip.set_ylabel("fix", rotation=0, ha="right", va="center")
    strip.set_xlabel("time from the start [s]" if has_times else "driven [m]")
    _dot_legend(figure, handles, 4)
    caption = (
        f"Over the run, {_variant_text(variant)}. Top: distance from the frame to its best match (errors under {_MIN_ERROR:g} m are drawn there). Middle: "
        "probability of the match. Bottom: one stroke per frame. Green strokes are fixes; between them a robot would rely on its odometry."
    )
    return Drawing("timeline", "Over time", caption, figure)


@figure_style()
def pose_error_drawing(poses: PoseErrors) -> Drawing:
    """The part of the accepted matches whose pose is off by less than a distance."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 2.8), layout="constrained")
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


def _groups(drive: Drive, variant: str, threshold: float) -> Sequence[tuple[NDArray[np.bool_], str, str]]:
    """Rows, color and label of the frames by result: not accepted, right, wrong."""
    accepted, near = drive.column("accepted", variant), drive.column("error", variant) <= threshold
    return [
        (~accepted, _FAINT, "not accepted"),
        (accepted & near, _RIGHT, "accepted, right"),
        (accepted & ~near, _WRONG, "accepted, wrong"),
    ]


def _variant_text(variant: str) -> str:
    """What "both" means, outside the table of the variants."""
    return "with sequence and geometry" if variant == BOTH else variant


def _dot_scale(count: int) -> float:
    """Factor for the area of dots: many dots must not hide one another."""
    return float(np.clip(300 / max(1, count), 0.2, 1.0))


def _dot_legend(figure: Any, handles: list[tuple[Any, str]], columns: int) -> None:
    """A legend above the axes; its dots are large enough to be seen."""
    artists, labels = zip(*handles, strict=True)
    legend = figure.legend(
        artists, labels, loc="outside upper center", ncols=columns, columnspacing=1.6, handletextpad=0.5
    )
    for handle in legend.legend_handles:
        if hasattr(handle, "set_sizes"):
            handle.set_sizes([36])


def _size(points: Floats) -> tuple[float, float]:
    """Inches, in the proportions of the points."""
    points = points[np.isfinite(points).all(1)]
    width, height = np.maximum(np.ptp(points, axis=0), 1e-3) if len(points) else (1.0, 1.0)
    return _WIDTH, float(np.clip(_WIDTH * height / width + 0.8, _MIN_HEIGHT, _MAX_HEIGHT))
