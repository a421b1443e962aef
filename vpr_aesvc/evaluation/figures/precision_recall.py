"""The figures of precision against recall: of methods, of the variants of recognition in a benchmark, and of those on a drive. And the reliability of
the probabilities of recognition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.evaluation.drive_measures import DriveMeasures
from vpr_aesvc.evaluation.figures.style import (
    INK,
    VARIANT_STYLES,
    Drawing,
    LineStyle,
    canvas,
    escape_label,
    figure_style,
    fraction_axis,
    legend_above,
    method_style,
)
from vpr_aesvc.evaluation.metrics import recall_interval
from vpr_aesvc.evaluation.results import MethodResult, PrecisionRecall, RecognitionResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MAX_POINTS = 300  # of a curve; more cannot be seen


@dataclass(frozen=True)
class _Line:
    """A curve to draw. ``points``: (recall, precision) of markers; by default four along the curve."""

    label: str
    style: LineStyle
    curve: PrecisionRecall
    points: list[tuple[float, float]] | None = None


def curve_drawing(results: Sequence[MethodResult]) -> Drawing | None:
    """Precision against recall of the best match, each method at its largest size that has a curve."""
    largest: dict[str, tuple[int, PrecisionRecall]] = {}
    for result in sorted(results, key=lambda result: result.size):
        if result.curve is not None and result.curve.recall.size:
            largest[result.method] = (result.size, result.curve)
    methods = [name for name in dict.fromkeys(result.method for result in results) if name in largest]
    lines = [_Line(f"{name} ({largest[name][0]})", method_style(name), largest[name][1]) for name in methods]
    caption = (
        "Matches above a similarity threshold are accepted. As the threshold falls, more right places are found (recall, to the right) and more wrong "
        "ones accepted (precision, down). Higher and further right is better; the area under the curve sums it up. Each method at its largest size."
    )
    figure = _draw(lines, "method (size): area under the curve")
    return None if figure is None else Drawing("precision_recall", "Precision and recall", caption, figure)


def drive_curve_drawing(measures: DriveMeasures) -> Drawing | None:
    """Precision against recall of each variant on a drive. None where no variant has a right match."""
    curves = {name: one.curve for name, one in measures.variants.items() if one.curve is not None}
    lines = [_Line(name, VARIANT_STYLES[name], curve) for name, curve in curves.items()]
    caption = (
        "Matches are accepted in the order of their false-positive rate. As the accepted rate rises, more of the right best matches (within "
        f"{measures.threshold:g} m) are accepted (recall, to the right) and more wrong ones (precision, down). Higher and further right is better."
    )
    figure = _draw(lines, "variant: area under the curve")
    return None if figure is None else Drawing("precision_recall", "Precision and recall", caption, figure)


def variants_drawing(result: RecognitionResult) -> Drawing | None:
    """Precision against recall with and without each part of recognition. The marker is the requested rate. None where nothing is right."""
    lines = []
    for part in result.parts:
        if part.curve is None:
            continue
        # The curve begins at the first accepted match: the point (0, 1) before it is a convention, not a measurement.
        curve = PrecisionRecall(part.curve.precision[1:], part.curve.recall[1:], part.curve.area, 0.0)
        accepted, points = part.at_rate, []
        if part.reliability is not None and accepted.count:
            points.append((accepted.recall, accepted.right / accepted.count))
        lines.append(_Line(part.name, VARIANT_STYLES[part.name], curve, points))
    caption = (
        "As the threshold falls, more right matches are accepted (to the right) and more wrong ones (down). The threshold is a similarity for similarity "
        f"alone, else a false-positive rate. A marker shows the requested rate of {100 * result.rate:g}\u00a0%: its threshold is known in advance, from "
        "the map alone. A line that ends further right finds more right places."
    )
    title = "Recognition: precision and recall with and without each part"
    figure = _draw(lines, "area under the curve", "recall, of the queries with a right place [0 to 1]")
    return None if figure is None else Drawing("recognition_precision_recall", title, caption, figure)


@figure_style()
def _draw(lines: Sequence[_Line], legend_title: str, x_label: str = "recall [0 to 1]") -> Figure | None:
    if not lines:
        return None
    figure, [axes] = canvas()
    for at, line in enumerate(lines):
        curve, style = line.curve, line.style
        kept = np.unique(np.linspace(0, len(curve.recall) - 1, min(len(curve.recall), _MAX_POINTS)).astype(int))
        recall, precision = curve.recall[kept], curve.precision[kept]
        label = escape_label(f"{line.label}: {curve.area:.3f}")
        # Later lines lie below: where a solid line and a dashed one coincide, both are visible.
        [drawn] = axes.plot(recall, precision, label=label, zorder=2.5 - 0.01 * at, **style.line)
        if line.points is None:
            drawn.set(marker=style.marker, markersize=5, markevery=_marker_positions(recall, at, len(lines)))
        for x, y in line.points or ():
            drawn.set(marker=style.marker, markersize=6, markevery=[])  # in the legend only
            axes.plot(x, y, style.marker, color=style.color, markersize=8, clip_on=False, zorder=3)
    fraction_axis(axes, "precision", [float(value) for line in lines for value in line.curve.precision])
    axes.set_ylim(top=1.01)  # shows the full width of lines along the top
    axes.set_xlim(0, 1.02 * max(float(line.curve.recall[-1]) for line in lines) or 1.0)
    axes.set_xlabel(x_label)
    legend_above(figure, *axes.get_legend_handles_labels(), title=legend_title)
    return figure


def _marker_positions(recall: NDArray[np.float64], at: int, lines: int) -> list[int]:
    """Four points along a curve, at different recalls for each line, so that markers do not cover one another."""
    positions = (np.arange(4) + (at + 0.5) / lines) / 4 * recall[-1]
    return np.searchsorted(recall, positions).clip(max=len(recall) - 1).tolist()


@figure_style()
def reliability_drawing(result: RecognitionResult) -> Drawing | None:
    """For each variant that gives a probability: the fraction of right matches against the probability. None without any."""
    diagrams = [(part.name, part.reliability) for part in result.parts if part.reliability is not None]
    if not diagrams:
        return None
    figure, panels = canvas(len(diagrams), columns=2)
    for axes, (name, diagram) in zip(panels, diagrams, strict=True):
        color = VARIANT_STYLES[name].color
        axes.plot([0, 1], [0, 1], color=INK, linewidth=1.0, linestyle=(0, (3, 2)))
        filled = np.flatnonzero(diagram.counts)
        for at in filled:
            low, high = recall_interval(float(diagram.predicted[at]), int(diagram.counts[at]))
            axes.vlines(diagram.predicted[at], low, high, color=color, linewidth=1.1, alpha=0.6)
        area = 14 + 240 * diagram.counts[filled] / diagram.counts.sum()
        axes.scatter(diagram.predicted[filled], diagram.observed[filled], area, color=color, clip_on=False, zorder=3)
        axes.set_title(escape_label(f"{name}: ECE {diagram.error:.3f}"), loc="left", fontweight="bold")
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        axes.set_aspect("equal")
        axes.tick_params(labelbottom=True, labelleft=True)
    figure.supxlabel("probability of the best match", fontsize=10)
    figure.supylabel("fraction that is right", fontsize=10)
    name, diagram = diagrams[-1]
    caption = (
        "Best matches in bins of equal width of their probability: a point is a bin, its area the number of matches. On the dashed line the probability "
        "is correct; below it recognition is overconfident, above it underconfident. A bar shows where 95\u00a0% of such bins would lie if the "
        "probability were correct: points on their bar are consistent with it. The expected calibration error (ECE) is the mean distance from the line, "
        "over the matches."
    )
    title = f"Reliability: expected calibration error {diagram.error:.3f} ({name})"
    return Drawing("recognition_reliability", title, caption, figure)
