"""The figures of accuracy: against descriptor size and search time, and of one network for all sizes against one per size."""

from collections.abc import Sequence

from vpr_aesvc.evaluation.figures.style import (
    INK,
    Drawing,
    canvas,
    escape_label,
    figure_style,
    fraction_axis,
    legend_above,
    log_axis,
    method_style,
    size_axis,
)
from vpr_aesvc.evaluation.results import Measure, MethodResult, by_method

_BAND = 0.02  # differences this small do not matter in practice
_DODGE = 0.015  # octaves between the interval bars of two methods


@figure_style()
def size_drawing(results: Sequence[MethodResult], measure: Measure) -> Drawing | None:
    """A measure against descriptor size, one line per method, with thin 95 % intervals. A method of a single size is a horizontal line where
    others have more sizes, else a marker. None without data."""
    curves = by_method(results, measure)
    if not curves:
        return None
    several = {name: pairs for name, pairs in curves.items() if len(pairs) > 1}
    sizes = [result.size for pairs in (several or curves).values() for result, _ in pairs]
    figure, [axes] = canvas()
    extent: list[float] = []
    has_intervals = False
    for at, (name, pairs) in enumerate(curves.items()):
        style = method_style(name)
        extent += [value for _, value in pairs]
        is_level = bool(several) and name not in several
        for result, _ in pairs:
            if ends := measure.interval(result):
                has_intervals = True
                extent += ends
                if is_level:
                    axes.axhspan(*ends, color=style.color, alpha=0.09, linewidth=0)
                else:  # beside the point, so that the bars of several methods do not cover one another
                    x = result.size * 2 ** (_DODGE * (at - (len(curves) - 1) / 2))
                    axes.vlines(x, *ends, color=style.color, linewidth=1.1, alpha=0.6)
        if is_level:
            [(result, value)] = pairs
            axes.axhline(value, label=escape_label(f"{name} ({result.size} numbers)"), zorder=1.9, **style.line)
            continue
        x_values, y_values = [result.size for result, _ in pairs], [value for _, value in pairs]
        line = style.line if len(pairs) > 1 else {**style.line, "linestyle": "none"}
        label = escape_label(name)
        axes.plot(x_values, y_values, label=label, marker=style.marker, markersize=5.5, clip_on=False, **line)
    size_axis(axes, sizes)
    fraction_axis(axes, measure.axis_label, extent)
    legend_above(figure, *axes.get_legend_handles_labels())
    caption = "Higher is better, further left is smaller."
    if several and len(several) < len(curves):
        caption += " A horizontal dashed line is a method that has one size only, for comparison."
    if has_intervals:
        caption += " Thin bars (for a horizontal line, the band) are 95\u00a0% bootstrap intervals over the queries, drawn side by side around their size."
    title = "mAP against size" if measure.is_map else "Recall against size"
    return Drawing(f"{measure.file_prefix}_against_size", title, caption, figure)


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


@figure_style()
def upper_bound_drawing(results: Sequence[MethodResult], names: tuple[str, str], measure: Measure) -> Drawing | None:
    """Accuracy of one network for all sizes minus that of one network per size. None without a common size.

    Args:
        names: of the one network, of its upper bound.
    """
    curves = by_method(results, measure)
    student, bound = ({result.size: value for result, value in curves.get(name, ())} for name in names)
    differences = {size: student[size] - bound[size] for size in sorted(student.keys() & bound.keys())}
    if not differences:
        return None
    figure, [axes] = canvas()
    style = method_style(names[0])
    axes.axhspan(-_BAND, _BAND, color=INK, alpha=0.07, linewidth=0)
    axes.axhline(0, color=INK, linewidth=1.1)
    label = escape_label(f"{names[0]} minus {names[1]}")
    sizes, values = zip(*differences.items(), strict=True)
    axes.plot(sizes, values, label=label, marker=style.marker, markersize=6.5, clip_on=False, **style.line)
    for point in differences.items():
        axes.annotate(f"{point[1]:+.3f}", point, (0, 6), textcoords="offset points", ha="center", color=INK, fontsize=8)
    limit = max(1.5 * _BAND, 1.25 * max(map(abs, values)))
    axes.set_ylim(-limit, limit)
    axes.yaxis.set_major_formatter("{x:+.3f}")
    axes.set_ylabel(f"difference in {measure.axis_label}")
    size_axis(axes, sizes)
    legend_above(figure, *axes.get_legend_handles_labels())
    caption = (
        f"{names[0]} is one network for every size; {names[1]} has one network per size and is the upper bound. On the zero line nothing is lost, below it "
        f"something is; the gray band is ±{_BAND:g}."
    )
    return Drawing("distillation_against_upper_bound", "Distillation against its upper bound", caption, figure)
