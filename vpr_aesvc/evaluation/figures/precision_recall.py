"""The figures of precision against recall: of methods, and of the variants of recognition on a drive."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.evaluation.drive_measures import DriveMeasures
from vpr_aesvc.evaluation.figures.style import (
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
from vpr_aesvc.evaluation.results import MethodResult, PrecisionRecall

_MAX_POINTS = 300  # of a curve; more cannot be seen


def curve_drawing(results: Sequence[MethodResult]) -> Drawing | None:
    """Precision against recall of the best match, of results of different methods. None without any curve."""
    lines = [
        (f"{one.method} ({one.size})", method_style(one.method), one.curve)
        for one in results
        if one.curve is not None and one.curve.recall.size
    ]
    caption = (
        "Matches above a similarity threshold are accepted. As the threshold falls, more right places are found (recall, to the right) and more wrong "
        "ones accepted (precision, down). Higher and further right is better; the area under the curve sums it up. Each method at the recommended size, or at "
        "its nearest."
    )
    return _drawing(lines, "method (size): area under the curve", caption)


def drive_curve_drawing(measures: DriveMeasures) -> Drawing | None:
    """Precision against recall of each variant on a drive. None where no variant has a right match."""
    curves = {name: one.curve for name, one in measures.variants.items()}
    lines = [(name, VARIANT_STYLES[name], curve) for name, curve in curves.items() if curve is not None]
    caption = (
        "Matches are accepted in the order of their false-positive rate. As the accepted rate rises, more of the right best matches (within "
        f"{measures.threshold:g} m) are accepted (recall, to the right) and more wrong ones (precision, down). Higher and further right is better."
    )
    return _drawing(lines, "variant: area under the curve", caption)


@figure_style()
def _drawing(
    lines: Sequence[tuple[str, LineStyle, PrecisionRecall]], legend_title: str, caption: str
) -> Drawing | None:
    """``lines``: label, style and curve of each."""
    if not lines:
        return None
    figure, axes = canvas()
    for at, (name, style, curve) in enumerate(lines):
        kept = np.unique(np.linspace(0, len(curve.recall) - 1, min(len(curve.recall), _MAX_POINTS)).astype(int))
        recall, precision = curve.recall[kept], curve.precision[kept]
        # Later lines lie below: where a solid line and a dashed one coincide, both are visible.
        label = escape_label(f"{name}: {curve.area:.3f}")
        [drawn] = axes.plot(recall, precision, label=label, zorder=2.5 - 0.01 * at, **style.line)
        drawn.set(marker=style.marker, markersize=5, markevery=_marker_positions(recall, at, len(lines)))
    fraction_axis(axes, "precision", [float(value) for *_, curve in lines for value in curve.precision])
    axes.set_ylim(top=1.01)  # shows the full width of lines along the top
    axes.set_xlim(0, 1.02 * max(float(curve.recall[-1]) for *_, curve in lines) or 1.0)
    axes.set_xlabel("recall [0 to 1]")
    legend_above(figure, *axes.get_legend_handles_labels(), title=legend_title)
    return Drawing("precision_recall", "Precision and recall", caption, figure)


def _marker_positions(recall: NDArray[np.float64], at: int, lines: int) -> list[int]:
    """Four points along a curve, at different recalls for each line, so that markers do not cover one another."""
    positions = (np.arange(4) + (at + 0.5) / lines) / 4 * recall[-1]
    return np.searchsorted(recall, positions).clip(max=len(recall) - 1).tolist()
