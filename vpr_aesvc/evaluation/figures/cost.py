"""The figure of accuracy against search time."""

from __future__ import annotations

from collections.abc import Sequence

from vpr_aesvc.evaluation.figures.method_styles import method_style
from vpr_aesvc.evaluation.figures.style import (
    INK,
    Drawing,
    canvas,
    escape_label,
    figure_style,
    fraction_axis,
    legend_above,
    log_axis,
)
from vpr_aesvc.evaluation.measures import Measure, by_method
from vpr_aesvc.evaluation.results import MethodResult


@figure_style()
def cost_drawing(results: Sequence[MethodResult], measure: Measure) -> Drawing | None:
    """A measure against the search time of one query, milliseconds. None without times."""
    timed = [result for result in results if (result.search_ms or 0.0) > 0]
    curves = by_method(timed, measure)
    if not curves:
        return None
    figure, [axes] = canvas()
    highest: dict[int, tuple[float, float]] = {}  # size -> its highest point, which carries the label
    for name, pairs in curves.items():
        style = method_style(name)
        points = [(result.search_ms or 0.0, value) for result, value in pairs]
        x, y = zip(*points, strict=True)
        axes.plot(x, y, style.marker, markersize=5.5, clip_on=False, label=escape_label(name), **style.line)
        for (result, _), point in zip(pairs, points, strict=True):
            highest[result.size] = max(highest.get(result.size, point), point, key=lambda point: point[1])
    for size, point in highest.items():
        axes.annotate(
            str(size), point, (0, 5), textcoords="offset points", ha="center", color=INK, fontsize=8, in_layout=False
        )
    values = [value for pairs in curves.values() for _, value in pairs]
    log_axis(axes, "search time of a query [ms]", [ms for result in timed if (ms := result.search_ms)])
    fraction_axis(axes, measure.axis_label, values)
    legend_above(figure, *axes.get_legend_handles_labels())
    caption = "Higher is better, further left is faster. The number above a point is its size; all methods of one size need the same time."
    return Drawing(f"{measure.file_prefix}_against_cost", "Accuracy against search cost", caption, figure)
