"""The figures of a drive that are not seen from above: along time, and precision against recall."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vpr_aesvc.evaluation.drive import BOTH, Drive
from vpr_aesvc.evaluation.drive_measures import FormMeasures
from vpr_aesvc.evaluation.figures.drive import FAINT, RIGHT, WRONG, dot_legend, dot_scale, in_words, is_many
from vpr_aesvc.evaluation.figures.method_styles import LineStyle
from vpr_aesvc.evaluation.figures.style import INK, Drawing, canvas, legend_above, look, part_axis, plain

_LEAST = 0.1  # meters: errors below are drawn there
_STYLES = {
    "single frame": LineStyle("#808080", "X", (0, (5, 2.5))),
    "with sequence": LineStyle("#2a86c8", "s", (0, (5, 1.6))),
    "with geometry": LineStyle("#b07d00", "^", (0, (1, 1.4))),
    BOTH: LineStyle("#d55e00", "o", "-", 2.2),
}


@look()
def time_drawing(drive: Drive, form: str, right: float) -> Drawing:
    """Error, probability and what was accepted, along the run."""
    from matplotlib.figure import Figure

    answers = drive.answers[form]
    times = drive.times
    timed = bool(np.isfinite(times).all())
    at = times if timed else np.array(drive.driven)
    accepted, error = np.array(answers.accepted, bool), np.array(answers.error)
    near, matched = error <= right, np.isfinite(error)
    scale, many = dot_scale(len(drive)), is_many(drive)
    stroke = float(np.clip(400 / max(1, len(drive)), 0.3, 1.4))  # points: what a frame has of the width
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    above, below, strip = figure.subplots(3, 1, sharex=True, height_ratios=[5, 4, 1])
    groups = [
        (~accepted, FAINT, "not accepted", "o", 9),
        (accepted & near, RIGHT, "accepted, right", "o", 16),
        (accepted & ~near, WRONG, "accepted, wrong", "X", 34),
    ]
    handles: list[tuple[Any, str]] = []
    for chosen, color, label, marker, size in groups:
        dots: dict[str, Any] = {
            "color": color,
            "s": size * scale,
            "marker": marker,
            "linewidths": 0,
            "clip_on": False,
            "rasterized": many,
        }
        shown = chosen & matched
        drawn = above.scatter(at[shown], np.maximum(error[shown], _LEAST), zorder=3, **dots)
        below.scatter(at[chosen], np.array(answers.probability)[chosen], zorder=3, **dots)
        strip.vlines(
            at[chosen],
            0,
            1,
            color=color,
            linewidth={FAINT: stroke / 3, WRONG: max(stroke, 0.8)}.get(color, stroke),
            rasterized=many,
        )
        if chosen.any():
            handles.append((drawn, label))
    limit = above.axhline(right, color=INK, linewidth=0.9, linestyle=(0, (4, 2)))
    handles.append((limit, f"{right:g} m"))
    above.set_yscale("log")
    above.set_ylim(_LEAST, max(float(error[matched].max(initial=0)), right) * 1.6)
    above.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    above.yaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "25" else "")
    above.set_ylabel("error [m]")
    below.set_ylim(-0.03, 1.03)
    below.set_ylabel("probability")
    strip.set_ylim(0, 1)
    strip.set_yticks([])
    strip.grid(False)
    strip.set_ylabel("fix", rotation=0, ha="right", va="center")
    strip.set_xlabel("time from the start [s]" if timed else "driven [m]")
    dot_legend(figure, handles, 4)
    reading = (
        f"Along the run, {in_words(form)}. Above, how far the best match lies from where the frame was taken (errors under {_LEAST:g} m are drawn there); "
        "below, how probable it was held to be; last, a stroke for each frame: green strokes are fixes, and long spaces between them are stretches "
        "in which a robot would have had to go by its odometry."
    )
    return Drawing("timeline", "Along the run", reading, figure)


@look()
def drive_curve_drawing(forms: Mapping[str, FormMeasures], right: float) -> Drawing | None:
    """Precision against recall of each form. None where no form has a right match."""
    curves = {name: one.curve for name, one in forms.items() if one.curve is not None}
    if not curves:
        return None
    figure, [axes] = canvas()
    for name, curve in curves.items():
        style = _STYLES[name]
        line: dict[str, Any] = {"color": style.color, "linewidth": style.width, "linestyle": style.line}
        every = max(1, len(curve.recall) // 8)
        marker: dict[str, Any] = {"marker": style.marker, "markersize": 5, "markevery": every}
        axes.plot(curve.recall, curve.precision, label=plain(f"{name}: {curve.area:.3f}"), **marker, **line)
    part_axis(axes, "precision", [float(value) for curve in curves.values() for value in curve.precision])
    axes.set_ylim(top=1.01)
    axes.set_xlim(0, 1.02)
    axes.set_xlabel("recall [0 to 1]")
    legend_above(figure, *axes.get_legend_handles_labels(), title="form: area under the curve")
    reading = (
        f"Matches are accepted in the order of their false-positive rate; as the rate that is allowed rises, more of the right best matches "
        f"(within {right:g} m) are accepted (recall, to the right) and more wrong ones let in (precision, down). Higher and further right is better."
    )
    return Drawing("precision_recall", "Precision and recall", reading, figure)
