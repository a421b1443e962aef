"""The figure of reliability: whether the probabilities of recognition are correct."""

from __future__ import annotations

import numpy as np

from vpr_aesvc.evaluation.figures.style import INK, VARIANT_STYLES, Drawing, canvas, escape_label, figure_style
from vpr_aesvc.evaluation.metrics import recall_interval
from vpr_aesvc.evaluation.results import RecognitionResult


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
