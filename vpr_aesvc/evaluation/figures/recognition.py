"""The figures of recognition: what each part adds, and whether the probabilities hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from vpr_aesvc.evaluation.figures.method_styles import LineStyle
from vpr_aesvc.evaluation.figures.style import INK, Drawing, canvas, legend_above, look, part_axis, plain
from vpr_aesvc.evaluation.metrics import recall_interval
from vpr_aesvc.evaluation.results import PartResult, RecognitionResult

_STYLES = {
    "similarity": LineStyle("#808080", "X", (0, (5, 2.5))),
    "+ probability": LineStyle("#b07d00", "^", (0, (1, 1.4)), 2.0),
    "+ sequence": LineStyle("#2a86c8", "s", (0, (5, 1.6)), 2.0),
    "+ geometry": LineStyle("#0f9b77", "P", (0, (7, 1.8, 1.4, 1.8)), 2.0),
    "all": LineStyle("#d55e00", "o", "-", 2.2),
}


@look()
def parts_drawing(result: RecognitionResult) -> Drawing | None:
    """Precision against recall with and without each part; the marker is what the rate asked for accepts. None where nothing is right."""
    drawn = [(part, part.curve) for part in result.parts if part.curve is not None]
    if not drawn:
        return None
    figure, [axes] = canvas()
    values = []
    for at, (part, curve) in enumerate(drawn):
        style = _STYLES[part.name]
        line: dict[str, Any] = {"color": style.color, "linewidth": style.width, "linestyle": style.line}
        line["zorder"] = 2.5 - 0.1 * at  # dashes above solid lines: where both run along the top, both are seen
        # From the first accepted match on: the point (0, 1) before it is a convention and no measurement.
        axes.plot(curve.recall[1:], curve.precision[1:], label=plain(f"{part.name}: {curve.area:.3f}"), **line)
        values += curve.precision[1:].tolist()
        seen = part.at_rate
        if part.reliability is not None and seen.right + seen.wrong:
            precision = seen.right / (seen.right + seen.wrong)
            axes.plot(
                [seen.recall], [precision], style.marker, color=style.color, markersize=8, clip_on=False, zorder=3
            )
    part_axis(axes, "precision", values)
    axes.set_ylim(top=1.01)
    axes.set_xlim(0, min(1.02, 1.05 * max(float(curve.recall[-1]) for _, curve in drawn)))
    axes.set_xlabel("recall, of the queries with a right place [0 to 1]")
    handles, labels = axes.get_legend_handles_labels()
    legend_above(
        figure, [_with_marker(*pair) for pair in zip(handles, drawn, strict=True)], labels, title="area under the curve"
    )
    reading = (
        "As the level falls, more right matches are accepted (to the right) and more wrong ones (down). The level of similarity alone is "
        f"a similarity, of the others a false-positive rate. A marker stands where a rate of {100 * result.rate:g}\u00a0% is asked for: "
        "that level is known beforehand, from the map alone. A line that ends further right finds more right places."
    )
    return Drawing(
        "recognition_precision_recall", "Recognition: precision and recall with and without each part", reading, figure
    )


@look()
def reliability_drawing(result: RecognitionResult) -> Drawing | None:
    """Of each form that gives a probability: how often it is right, against the probability. None without any."""
    drawn = [(part, part.reliability) for part in result.parts if part.reliability is not None]
    if not drawn:
        return None
    figure, panels = canvas(len(drawn), columns=2)
    for axes, (part, diagram) in zip(panels, drawn, strict=True):
        style = _STYLES[part.name]
        axes.plot([0, 1], [0, 1], color=INK, linewidth=1.0, linestyle=(0, (3, 2)))
        full = np.flatnonzero(diagram.counts)
        for at in full:
            low, high = recall_interval(float(diagram.predicted[at]), int(diagram.counts[at]))
            axes.vlines(diagram.predicted[at], low, high, color=style.color, linewidth=1.1, alpha=0.6)
        area = 14 + 240 * diagram.counts[full] / diagram.counts.sum()
        axes.scatter(diagram.predicted[full], diagram.observed[full], area, color=style.color, clip_on=False, zorder=3)
        axes.set_title(plain(f"{part.name}: ECE {diagram.error:.3f}"), loc="left", fontweight="bold")
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        axes.set_aspect("equal")
        axes.tick_params(labelbottom=True, labelleft=True)
    figure.supxlabel("probability of the best match", fontsize=10)
    figure.supylabel("part that is right", fontsize=10)
    last, diagram = drawn[-1]
    reading = (
        "The best matches in bins of equal width of their probability: a point is a bin, its area the number of matches. On the dashed "
        "line what was said is true; below it, recognition is too sure, above it too modest. A bar says where 95\u00a0% of such bins would "
        "lie if the probability were true: points on their bar prove nothing against it. The expected calibration error (ECE) is the mean "
        "distance from the line, over the matches."
    )
    title = f"Reliability: expected calibration error {diagram.error:.3f} ({last.name})"
    return Drawing("recognition_reliability", title, reading, figure)


def _with_marker(handle: Any, drawn: tuple[PartResult, Any]) -> Any:
    from matplotlib.lines import Line2D

    style = _STYLES[drawn[0].name]
    marker = style.marker if drawn[0].reliability is not None else None
    return Line2D([], [], color=style.color, linewidth=style.width, linestyle=style.line, marker=marker, markersize=6)
