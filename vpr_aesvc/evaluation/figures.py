"""The figures of the report, as SVG to put into a page. matplotlib is imported where it is used.

The ink is the page's text colour, so a figure follows a dark page; the colours of the methods are legible on both.
Every method has its own marker and line style besides, so nothing is lost in grey.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from vpr_aesvc.evaluation.results import MethodResult

_INK = "#010203"  # stands for the page's text colour, put in after drawing
# After Okabe & Ito: told apart by the colour-blind. The blue is lighter than theirs, to stand out on black too.
_COLOURS = ("#2a86c8", "#d55e00", "#009e73", "#cc79a7", "#8a8a8a", "#b8860b")
_MARKERS = ("s", "^", "o", "D", "v", "P", "X")
_LINES: tuple[Any, ...] = (":", "-.", "-", (0, (7, 1.5, 1.5, 1.5, 1.5, 1.5)), (0, (1, 2.5)))
_DASHES: tuple[Any, ...] = ((0, (5, 2.5)), (0, (2, 1.2)), (0, (9, 4)))  # for methods of a single size
_NEAREST = 0.05  # of the axis: two labelled sizes stand at least so far apart
_STYLE = {
    "svg.fonttype": "none",  # text stays text: it takes the page's font and can be searched
    "font.size": 10,
    "legend.fontsize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.18,
    "grid.linewidth": 0.7,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "grid.color"), _INK),
    **dict.fromkeys(("xtick.color", "ytick.color"), _INK),
}


@dataclass(frozen=True)
class LineStyle:
    """How a method looks in every figure."""

    colour: str
    marker: str
    line: Any  # a matplotlib line style


def method_styles(results: Sequence[MethodResult], more: Sequence[str] = ()) -> dict[str, LineStyle]:
    """A style for each method of ``results`` and each name in ``more``, by the order in which they appear."""
    sizes: dict[str, set[int]] = {}
    for result in results:
        sizes.setdefault(result.method, set()).add(result.size)
    styles: dict[str, LineStyle] = {}
    used = {True: 0, False: 0}  # line styles taken, by whether the method has a single size
    for at, name in enumerate(dict.fromkeys([*sizes, *more])):
        single = len(sizes.get(name, ())) == 1
        lines = _DASHES if single else _LINES
        styles[name] = LineStyle(
            _COLOURS[at % len(_COLOURS)], _MARKERS[at % len(_MARKERS)], lines[used[single] % len(lines)]
        )
        used[single] += 1
    return styles


def recall_figure(results: Sequence[MethodResult], styles: dict[str, LineStyle]) -> str:
    """Recall at 1 against descriptor size, one line a method. A method of a single size is a level dashed line when
    others have more (what they are held against), and a marker where none has."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for result in results:
        curves.setdefault(result.method, []).append((result.size, result.recall.get(1, float("nan"))))
    swept = {name: sorted(points) for name, points in curves.items() if len(points) > 1}

    def draw(axes: Axes) -> None:
        for name, points in curves.items():
            style = styles[name]
            look: dict[str, Any] = {"color": style.colour, "linewidth": 1.9, "clip_on": False}
            if name not in swept and swept:
                size, value = points[0]
                axes.axhline(value, linestyle=style.line, label=_plain(f"{name} ({size} numbers)"), **look)
            else:
                line = style.line if name in swept else "none"
                at, recalls = zip(*sorted(points), strict=True)
                axes.plot(at, recalls, linestyle=line, marker=style.marker, markersize=6, label=_plain(name), **look)
        axes.set_xscale("log", base=2)
        drawn = [size for points in (swept or curves).values() for size, _ in points]
        low, high = np.log2(min(drawn)), np.log2(max(drawn))
        margin = max(0.04 * (high - low), 0.1)
        axes.set_xlim(2 ** (low - margin), 2 ** (high + margin))
        ticks = sorted(set(drawn))
        axes.set_xticks(ticks, _spaced(ticks, float(high - low)))
        axes.xaxis.minorticks_off()
        values = np.array([value for points in curves.values() for _, value in points])
        if np.isfinite(values).any():
            lowest, highest = float(np.nanmin(values)), float(np.nanmax(values))
            margin = max(0.15 * (highest - lowest), 0.02)
            axes.set_ylim(max(lowest - margin, 0.0), min(highest + margin, 1.0))
        axes.set_xlabel("descriptor size [numbers]")
        axes.set_ylabel("recall at 1")

    return _figure("recall at 1 against descriptor size", draw)


def cosine_figure(cosines: dict[str, NDArray[np.float32]], styles: dict[str, LineStyle]) -> str:
    """Histograms of the cosines of pairs of database images, over one another, with their standard deviations."""
    kept = {name: values[np.isfinite(values)] for name, values in cosines.items()}
    kept = {name: values for name, values in kept.items() if values.size}

    def draw(axes: Axes) -> None:
        low = min((float(values.min()) for values in kept.values()), default=-1.0)
        high = max((float(values.max()) for values in kept.values()), default=1.0)
        bins = np.linspace(low - 0.01, high + 0.01, 71).tolist()
        for name, values in kept.items():
            style = styles[name]
            label = _plain(f"{name}, σ = {values.std():.3f}")
            axes.hist(values, bins, density=True, histtype="stepfilled", color=style.colour, alpha=0.13)
            look: dict[str, Any] = {"linewidth": 1.9, "linestyle": style.line, "label": label}
            axes.hist(values, bins, density=True, histtype="step", color=style.colour, **look)
        axes.set_xlabel("cosine similarity of two database images")
        axes.set_ylabel("density")

    return _figure("histograms of the cosine similarity of two database images", draw)


def _figure(name: str, draw: Callable[[Axes], None]) -> str:
    """Draws on fresh axes with a legend above them, and gives ``<svg>`` for an HTML page. pyplot stays out of it."""
    import matplotlib.style
    from matplotlib.figure import Figure

    # "default" first: the look must not depend on the settings of whoever runs it.
    with matplotlib.style.context(["default", {**_STYLE, "svg.hashsalt": name}]):
        figure = Figure(figsize=(5.6, 4.0), layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        handles, labels = axes.get_legend_handles_labels()
        if handles:
            # A histogram's own handle is an empty box, in which a line style cannot be seen.
            lines = [_as_line(handle) for handle in handles]
            figure.legend(lines, labels, loc="outside upper center", ncols=2, handlelength=3.6, columnspacing=1.6)
        return _inline(figure, name)


def _as_line(handle: Any) -> Line2D:
    from matplotlib.lines import Line2D

    if isinstance(handle, Line2D):
        return handle
    return Line2D([], [], color=handle.get_edgecolor(), linestyle=handle.get_linestyle(), linewidth=1.9)


def _inline(figure: Figure, name: str) -> str:
    """The figure as an element for a page: no prolog, no metadata (it holds a date), no fixed size, no ids of groups
    (they would be the same in two figures); the ink becomes the page's."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    view = re.search(r'viewBox="[^"]*"', text)
    assert view is not None
    text = re.sub(r"^<svg[^>]*>", f'<svg {view[0]} role="img" aria-label="{name}">', text)
    return text.replace(_INK, "currentColor").strip()


def _spaced(ticks: Sequence[int], span: float) -> list[str]:
    """A label for each tick, empty where it would run into its neighbour. The largest size always has one.

    Args:
        span: length of the axis in octaves.
    """
    labels: list[str] = []
    after = np.inf
    for tick in reversed(ticks):
        clear = np.log2(after) - np.log2(tick) >= _NEAREST * span
        labels.append(str(tick) if clear else "")
        after = tick if clear else after
    return labels[::-1]


def _plain(label: str) -> str:
    """Text as it is: matplotlib sets what stands between dollar signs as a formula, and hides a leading underscore."""
    text = label.replace("$", r"\$")
    return " " + text if text.startswith("_") else text
