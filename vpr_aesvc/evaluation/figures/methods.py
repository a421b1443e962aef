"""The figures that compare methods: accuracy against descriptor size, and cosines of pairs of images."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.evaluation.figures.style import (
    INK,
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

Cosines = NDArray[np.float32]
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
def pairs_drawing(pairs: Mapping[str, tuple[Cosines, Cosines]]) -> Drawing | None:
    """Histograms of the cosines of matching pairs and of other pairs, one panel per method. None without any.

    Args:
        pairs: method -> cosines of pairs of the same place [n], of different places [m].
    """
    finite = {name: [values[np.isfinite(values)] for values in both] for name, both in pairs.items()}
    finite = {name: both for name, both in finite.items() if all(values.size for values in both)}
    if not finite:
        return None
    figure, panels = canvas(len(finite))
    every = np.concatenate([values for both in finite.values() for values in both]).astype(np.float64)
    bins = np.linspace(every.min() - 0.01, every.max() + 0.01, 71).tolist()
    for axes, (name, (same, others)) in zip(panels, finite.items(), strict=True):
        color = method_style(name).color
        axes.hist(others, bins, density=True, histtype="stepfilled", color=INK, alpha=0.1)
        axes.hist(others, bins, density=True, histtype="step", color=INK, linewidth=1.2, linestyle=(0, (3, 1.5)))
        axes.hist(same, bins, density=True, histtype="stepfilled", color=color, alpha=0.25)
        axes.hist(same, bins, density=True, histtype="step", color=color, linewidth=1.9)
        above = float((same > np.quantile(others, 0.99)).mean())
        axes.set_title(escape_label(f"{name}, σ = {others.std():.3f}"), loc="left", fontweight="bold")
        axes.set_title(f"same place: {100 * above:.0f}\u00a0% above 99\u00a0% of the others", loc="right", fontsize=9)
        axes.set_ylabel("density")
    panels[-1].set_xlabel("cosine similarity of two images")
    solid = panels[0].plot([], [], color=INK, linewidth=1.9)
    dashed = panels[0].plot([], [], color=INK, linewidth=1.2, linestyle=(0, (3, 1.5)))
    legend_above(figure, [*solid, *dashed], ["same place", "different places"])
    caption = (
        "Solid and filled: pairs of images of the same place. Dashed: pairs of different places. The less they overlap, the easier it is to recognize a "
        "right match. σ is the standard deviation of the dashed curve: a narrow one means that two places rarely look alike by chance. "
        "Right: the fraction of the matching pairs that are more similar than 99\u00a0% of the others."
    )
    return Drawing("matching_pairs", "Matching and other pairs", caption, figure)
