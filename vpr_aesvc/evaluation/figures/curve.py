"""The figure of precision against recall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vpr_aesvc.evaluation.figures.method_styles import LineStyle
from vpr_aesvc.evaluation.figures.style import Drawing, canvas, legend_above, look, part_axis, plain
from vpr_aesvc.evaluation.results import MethodResult, PrecisionRecall

_POINTS = 300  # of a curve: more cannot be seen


@look()
def curve_drawing(results: Sequence[MethodResult], styles: Mapping[str, LineStyle]) -> Drawing | None:
    """Precision against recall of the best match, each method at its largest size that has a curve."""
    largest: dict[str, tuple[int, PrecisionRecall]] = {}
    for result in sorted(results, key=lambda result: result.size):
        if result.curve is not None and result.curve.recall.size:
            largest[result.method] = (result.size, result.curve)
    largest = {name: largest[name] for name in styles if name in largest}
    if not largest:
        return None
    figure, [axes] = canvas()
    for at, (name, (size, curve)) in enumerate(largest.items()):
        style = styles[name]
        kept = np.unique(np.linspace(0, len(curve.recall) - 1, min(len(curve.recall), _POINTS)).astype(int))
        recall, precision = curve.recall[kept], curve.precision[kept]
        line: dict[str, Any] = {"color": style.color, "linewidth": style.width, "linestyle": style.line}
        # Four markers a curve, begun elsewhere for each method so that they do not cover one another.
        where = (np.arange(4) + (at + 0.5) / len(largest)) / 4 * recall[-1]
        marked = np.searchsorted(recall, where).clip(max=len(recall) - 1).tolist()
        marker: dict[str, Any] = {"marker": style.marker, "markersize": 5, "markevery": marked}
        axes.plot(recall, precision, label=plain(f"{name} ({size}): {curve.area:.3f}"), **marker, **line)
    part_axis(axes, "precision", [float(value) for _, curve in largest.values() for value in curve.precision])
    axes.set_ylim(top=1.01)  # all of the lines that run along the top
    axes.set_xlim(0, 1.02 * max(float(curve.recall[-1]) for _, curve in largest.values()) or 1.0)
    axes.set_xlabel("recall [0 to 1]")
    legend_above(figure, *axes.get_legend_handles_labels(), title="method (size): area under the curve")
    reading = (
        "Only matches above some similarity are accepted; as that level falls, more right places are found (recall, to the "
        "right) and more wrong ones let in (precision, down). Higher and further right is better; the area under the "
        "curve says it in one number. Each method has its largest size."
    )
    return Drawing("precision_recall", "Precision and recall", reading, figure)
