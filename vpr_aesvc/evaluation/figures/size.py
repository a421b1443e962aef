"""The figures over descriptor size: what a method finds, and what one student for all sizes loses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vpr_aesvc.evaluation.figures.method_styles import LineStyle
from vpr_aesvc.evaluation.figures.point_labels import PointLabel, place_labels
from vpr_aesvc.evaluation.figures.style import INK, Drawing, canvas, legend_above, look, part_axis, plain, size_axis
from vpr_aesvc.evaluation.measures import Measure, by_method
from vpr_aesvc.evaluation.results import MethodResult

_BAND = 0.02  # a student this near its upper bound is as good, for practice


@look()
def size_drawing(results: Sequence[MethodResult], styles: Mapping[str, LineStyle], measure: Measure) -> Drawing | None:
    """A measure against descriptor size, one line a method, with thin 95 % intervals. A method of a single size is a
    level line when others have more (what they are held against), and a marker where none has. None without data."""
    curves = by_method(results, measure)
    if not curves:
        return None
    swept = {name: found for name, found in curves.items() if len(found) > 1}
    drawn = swept or curves
    sizes = [result.size for found in drawn.values() for result, _ in found]
    bars = {(result.method, result.size): pair for result in results if (pair := measure.interval(result))}
    aside = _steps_aside(list(drawn), sizes, bars)
    figure, [axes] = canvas()
    extent: list[float] = []
    for name, found in curves.items():
        style = styles[name]
        at = [result.size for result, _ in found]
        values = [value for _, value in found]
        ends = {size: bars[name, size] for size in at if (name, size) in bars}
        extent += [*values, *(end for pair in ends.values() for end in pair)]
        line: dict[str, Any] = {"color": style.color, "linewidth": style.width}
        if swept and name not in swept:
            label = plain(f"{name} ({at[0]} numbers)")
            axes.axhline(values[0], linestyle=style.line, label=label, zorder=1.9, **line)
            for low, high in ends.values():
                axes.axhspan(low, high, color=style.color, alpha=0.09, linewidth=0)
            continue
        for size, (low, high) in ends.items():
            axes.vlines(size * 2 ** aside[name, size], low, high, color=style.color, linewidth=1.1, alpha=0.6)
        joined = style.line if name in swept else "none"
        marker: dict[str, Any] = {"marker": style.marker, "markersize": 5.5, "clip_on": False}
        axes.plot(at, values, linestyle=joined, label=plain(name), **marker, **line)
    size_axis(axes, sizes)
    part_axis(axes, measure.words, extent)
    legend_above(figure, *axes.get_legend_handles_labels())
    reading = "Higher is better, further left is smaller."
    if swept.keys() != curves.keys() and swept:
        reading += " A level dashed line is a method that has one size only, to hold the others against."
    if bars:
        reading += (
            " The thin bars (the band, for a level line) are 95\u00a0% bootstrap intervals over the queries; where they "
            "would cover one another they stand side by side about their size."
        )
    title = "mAP against size" if measure.mean else "Recall against size"
    return Drawing(f"{measure.stem}_against_size", title, reading, figure)


@look()
def upper_bound_drawing(
    results: Sequence[MethodResult], styles: Mapping[str, LineStyle], names: tuple[str, str], measure: Measure
) -> Drawing | None:
    """One student for all sizes minus one student a size, with a band of two hundredths. None without a common size.

    Args:
        names: of the one student, of its upper bound.
    """
    curves = by_method(results, measure)
    one, bound = ({result.size: value for result, value in curves.get(name, ())} for name in names)
    differences = {size: one[size] - bound[size] for size in sorted(one.keys() & bound.keys())}
    if not differences:
        return None
    figure, [axes] = canvas()
    style = styles[names[0]]
    axes.axhspan(-_BAND, _BAND, color=INK, alpha=0.07, linewidth=0)
    axes.axhline(0, color=INK, linewidth=1.1)
    marker: dict[str, Any] = {"marker": style.marker, "markersize": 6.5, "clip_on": False}
    points = list(differences.items())
    axes.plot(*zip(*points, strict=True), color=style.color, linestyle=style.line, linewidth=style.width, **marker)
    most = max(1.5 * _BAND, 1.25 * max(map(abs, differences.values())))
    axes.set_ylim(-most, most)
    axes.yaxis.set_major_formatter(lambda value, _: _signed(value, 2 if most > 0.05 else 3))
    axes.set_ylabel(f"difference in {measure.words}")
    size_axis(axes, list(differences))
    legend_above(figure, *_bound_handles(style, names))
    labels = [PointLabel(size, value, _signed(value, 3), INK) for size, value in points]
    edges = [(float(edge), 0.0) for edge in axes.get_xlim()]
    place_labels(figure, axes, labels, [[(float(x), y) for x, y in points], edges])
    reading = (
        f"{names[0]} serves every size with one student; {names[1]} trains a student for each size, which is the most it "
        f"can reach. On the zero line nothing is lost, below it something is; the gray band is ±{_BAND:g}."
    )
    return Drawing("distillation_against_upper_bound", "Distillation against its upper bound", reading, figure)


def _steps_aside(
    names: Sequence[str], sizes: Sequence[int], bars: Mapping[tuple[str, int], tuple[float, float]]
) -> dict[tuple[str, int], float]:
    """How far each interval stands from its size, in octaves, so that those of one size do not cover each other. The
    points stay where they are: on a steep line a step aside would look like a better or a worse method."""
    octaves = np.log2(sorted(set(sizes)))
    gap = float(np.diff(octaves).min()) if len(octaves) > 1 else 1.0
    step = min(0.008 * float(np.ptp(octaves) or 1.0), 0.6 * gap / len(names))
    aside: dict[tuple[str, int], float] = {}
    for size in set(sizes):
        together: list[str] = []  # methods whose intervals hang together
        top = -np.inf
        for name in sorted((name for name in names if (name, size) in bars), key=lambda name: bars[name, size]):
            low, high = bars[name, size]
            together = [*together, name] if low <= top else [name]
            top = max(top, high)
            middle = (len(together) - 1) / 2
            # Written anew for all of them with every one that joins.
            aside |= {(other, size): (at - middle) * step for at, other in enumerate(sorted(together, key=names.index))}
    return aside


def _bound_handles(style: LineStyle, names: tuple[str, str]) -> tuple[list[Any], list[str]]:
    from matplotlib.lines import Line2D

    line = Line2D([], [], color=style.color, linestyle=style.line, linewidth=style.width, marker=style.marker)
    return [line], [plain(f"{names[0]} minus {names[1]}")]


def _signed(value: float, digits: int) -> str:
    text = f"{value:+.{digits}f}".replace("-", "−")
    return text if float(f"{value:.{digits}f}") else text[1:]
