"""The figures that compare methods: accuracy against descriptor size."""

from collections.abc import Sequence

from vpr_aesvc.evaluation.figures.style import (
    Drawing,
    canvas,
    escape_label,
    figure_style,
    fraction_axis,
    legend_above,
    method_style,
    size_axis,
)
from vpr_aesvc.evaluation.results import Measure, MethodResult

_DODGE = 0.015  # octaves between the interval bars of two methods


@figure_style()
def size_drawing(results: Sequence[MethodResult], measure: Measure) -> Drawing | None:
    """A measure against descriptor size, one line per method, with thin 95 % intervals. A method of a single size is a horizontal line where
    others have more sizes, else a marker. None without data."""
    curves: dict[str, list[tuple[MethodResult, float]]] = {}
    for result in sorted(results, key=lambda result: result.size):
        if (value := measure.value(result)) is not None:
            curves.setdefault(result.method, []).append((result, value))
    curves = {name: curves[name] for name in dict.fromkeys(result.method for result in results) if name in curves}
    if not curves:
        return None
    several = {name: pairs for name, pairs in curves.items() if len(pairs) > 1}
    sizes = [result.size for pairs in (several or curves).values() for result, _ in pairs]
    figure, axes = canvas()
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
