"""The figure of accuracy against what a query costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vpr_aesvc.evaluation.figures.method_styles import LineStyle
from vpr_aesvc.evaluation.figures.point_labels import PointLabel, place_labels
from vpr_aesvc.evaluation.figures.style import Drawing, canvas, legend_above, log_axis, look, part_axis, plain
from vpr_aesvc.evaluation.measures import Measure, by_method
from vpr_aesvc.evaluation.results import MethodResult

_SAME_COST = 0.04  # of the cost axis: points so near stand above one another


@look()
def cost_drawing(results: Sequence[MethodResult], styles: Mapping[str, LineStyle], measure: Measure) -> Drawing | None:
    """A measure against what one query costs: milliseconds, or multiply-adds where few results have a time."""
    timed = {_key(result): ms for result in results if (ms := result.search_ms or 0.0) > 0}
    counted = {_key(result): count / 1e6 for result in results if (count := result.multiply_adds or 0) > 0}
    cost = timed if 2 * len(timed) >= len(counted) else counted
    words = "search time of a query [ms]" if cost is timed else "multiply-adds of a query [millions]"
    curves = by_method([result for result in results if _key(result) in cost], measure)
    if not curves:
        return None
    figure, [axes] = canvas()
    labels: list[PointLabel] = []
    lines = []
    for name, found in curves.items():
        style = styles[name]
        points = [(cost[_key(result)], value) for result, value in found]
        line: dict[str, Any] = {"color": style.color, "linewidth": style.width, "linestyle": style.line}
        marker: dict[str, Any] = {"marker": style.marker, "markersize": 5.5, "clip_on": False}
        axes.plot(*zip(*points, strict=True), label=plain(name), **marker, **line)
        labels += [
            PointLabel(x, y, str(result.size), style.color) for (x, y), (result, _) in zip(points, found, strict=True)
        ]
        lines.append(points)
    log_axis(axes, words, [x for points in lines for x, _ in points])
    part_axis(axes, measure.words, [y for points in lines for _, y in points])
    legend_above(figure, *axes.get_legend_handles_labels())
    place_labels(figure, axes, _one_a_size(labels), lines)
    reading = (
        "Higher is better, further left is cheaper. The number at a point is its size; points of that size straight below "
        "it go without."
    )
    return Drawing(f"{measure.stem}_against_cost", "Accuracy against search cost", reading, figure)


def _one_a_size(labels: Sequence[PointLabel]) -> list[PointLabel]:
    """The labels from the top of the figure down, without those of a size that a label above says at that cost."""
    width = max(max(label.x for label in labels) / min(label.x for label in labels), 3.0)  # of the axis, as a factor
    kept: list[PointLabel] = []
    for label in sorted(labels, key=lambda label: -label.y):
        said = [other.x for other in kept if other.text == label.text]
        if not any(max(label.x / x, x / label.x) <= width**_SAME_COST for x in said):
            kept.append(label)
    return kept


def _key(result: MethodResult) -> tuple[str, int]:
    return result.method, result.size
