"""The figure of a drive seen from above."""

from __future__ import annotations

from typing import Any

import numpy as np

from vpr_aesvc.evaluation.drive import BOTH, Drive, Floats
from vpr_aesvc.evaluation.figures.style import INK, Drawing, look

RIGHT, WRONG, FAINT = "#157f3d", "#d62728", "#8a94a3"
_RUN = "#2a86c8"
_WIDTH, _TALLEST, _FLATTEST = 6.4, 8.0, 3.2  # inches
_MANY = 2000  # frames from which on dots become pixels in an SVG, which would else be too large to open


@look()
def trajectory_drawing(drive: Drive, form: str, right: float) -> Drawing:
    """The map's places, the run, and a line from each frame to the place it was matched with.

    Args:
        form: whose matches are drawn.
        right: meters within which one is right.
    """
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure

    answers = drive.answers[form]
    here, there = np.array(drive.position).reshape(-1, 3)[:, :2], np.array(answers.position).reshape(-1, 3)[:, :2]
    accepted, near = np.array(answers.accepted, bool), np.array(answers.error) <= right
    figure = Figure(figsize=_size(np.vstack([here, drive.places[:, :2]])), layout="constrained")
    axes = figure.subplots()
    axes.set_aspect("equal", adjustable="datalim")
    handles: list[tuple[Any, str]] = []
    dots: dict[str, Any] = {"linewidths": 0, "rasterized": is_many(drive)}
    if not drive.loops:
        x, y = drive.places[:, :2].T
        places = axes.scatter(x, y, s=16 * dot_scale(len(drive.places)), color=INK, alpha=0.28, zorder=1, **dots)
        handles.append((places, f"places of the map ({len(drive.places)})"))
    (run,) = axes.plot(here[:, 0], here[:, 1], color=_RUN, linewidth=1.3, alpha=0.75, zorder=2)
    start = axes.scatter(here[:1, 0], here[:1, 1], s=70, marker="^", color=_RUN, zorder=6)
    handles += [(run, "the run"), (start, "its start")]
    faint = float(np.clip(30 / max(1, (~accepted).sum()), 0.06, 0.3))
    groups = [
        (~accepted, FAINT, "not accepted", 8, {"linewidths": 0.6, "alpha": faint}),
        (accepted & near, RIGHT, "accepted, right", 26, {"linewidths": 1.4, "alpha": 0.8}),
        (accepted & ~near, WRONG, "accepted, wrong", 26, {"linewidths": 1.4, "alpha": 0.95}),
    ]
    for order, (chosen, color, label, size, line) in enumerate(groups, 3):
        if not chosen.any():
            continue
        ends = list(np.stack([here[chosen], there[chosen]], axis=1))
        axes.add_collection(LineCollection(ends, colors=color, zorder=order, rasterized=is_many(drive), **line))
        x, y = here[chosen].T
        drawn = axes.scatter(x, y, s=size * dot_scale(len(drive)), color=color, zorder=order + 0.1, **dots)
        handles.append((drawn, f"{label} ({int(chosen.sum())})"))
    axes.autoscale_view()
    axes.margins(0.06)
    axes.set_xlabel("x [m]")
    axes.set_ylabel("y [m]")
    dot_legend(figure, handles, 3)
    reading = (
        f"Seen from above, {in_words(form)}. Each frame is a dot, with a line to the place that it was taken for: green where the match was "
        f"accepted and lies within {right:g} m, red where it was accepted and does not, faint where it was not accepted. Where the run "
        "follows the map closely, right lines are as short as their dots, and wrong ones stand out. "
    )
    reading += "The places are the run's own earlier keyframes." if drive.loops else "Gray dots are the map's places."
    return Drawing("trajectory", "The run from above", reading, figure)


def in_words(form: str) -> str:
    """What a form is, away from the table that lists them."""
    return "with sequence and geometry" if form == BOTH else form


def dot_scale(count: int) -> float:
    """How large dots are, by area: many must not hide one another."""
    return float(np.clip(300 / max(1, count), 0.2, 1.0))


def is_many(drive: Drive) -> bool:
    """Whether dots are to be drawn as pixels."""
    return len(drive) > _MANY


def dot_legend(figure: Any, handles: list[tuple[Any, str]], columns: int) -> None:
    """A legend above the axes; its dots are large enough to be seen, however small they are drawn."""
    shown, labels = zip(*handles, strict=True)
    legend = figure.legend(
        shown, labels, loc="outside upper center", ncols=columns, columnspacing=1.6, handletextpad=0.5
    )
    for handle in legend.legend_handles:
        if hasattr(handle, "set_sizes"):
            handle.set_sizes([36])


def _size(points: Floats) -> tuple[float, float]:
    """Inches, of about the shape of what is drawn."""
    points = points[np.isfinite(points).all(1)]
    width, height = np.maximum(np.ptp(points, axis=0), 1e-3) if len(points) else (1.0, 1.0)
    return _WIDTH, float(np.clip(_WIDTH * height / width + 0.8, _FLATTEST, _TALLEST))
