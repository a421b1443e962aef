"""The drawing kit: one look for all figures, and the ways out of one: into a page, as PNG, as SVG.

matplotlib is imported where it is used, and pyplot stays out of it. A figure is drawn in an ink that is black to the
eye. In a page the ink becomes the text color, so that a figure follows a dark page; in a file it stays black on white.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

INK = "#010203"  # a black that nothing else in a figure has, so that it can be found and replaced
_WIDTH, _HEIGHT = 5.6, 4.0  # inches; narrow enough to be read on a phone
_DPI = 200
_LEGEND = 58  # letters that two columns of a legend have room for
_DIGIT = 0.02  # of the axis: the width of a digit of a tick label
_STYLE = {
    "svg.fonttype": "none",  # text stays text: it takes the page's font and can be searched
    "font.size": 10,
    "legend.fontsize": 9.5,
    "legend.title_fontsize": 9.5,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.18,
    "grid.linewidth": 0.7,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "legend.frameon": False,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "grid.color", "axes.titlecolor"), INK),
    **dict.fromkeys(("xtick.color", "ytick.color"), INK),
}


@dataclass(frozen=True)
class Drawing:
    """A figure with its words."""

    name: str  # of its files: "recall_against_size"
    title: str
    reading: str  # how to read it
    figure: Figure

    def inline(self) -> str:
        """``<svg>`` for an HTML page: no prolog, no fixed size, no ids of groups (they would be the same in two figures),
        no background; the ink is the page's."""
        text = self._svg("none")
        text = re.sub(r"<style.*?</style>", "", text[text.index("<svg") :], flags=re.DOTALL)
        text = re.sub(r'<g id="[^"]*"', "<g", text)
        view = re.search(r'viewBox="[^"]*"', text)
        assert view is not None
        text = re.sub(r"^<svg[^>]*>", f'<svg {view[0]} role="img" aria-label="{self.title}">', text)
        return text.replace(INK, "currentColor").strip()

    def svg(self) -> bytes:
        """A file of its own, on white."""
        return self._svg("white").replace(INK, "#000000").encode()

    def png(self) -> bytes:
        """A file of its own, on white, 200 dots an inch."""
        file = io.BytesIO()
        with look():
            self.figure.savefig(file, format="png", dpi=_DPI, facecolor="white")
        return file.getvalue()

    def _svg(self, background: str) -> str:
        """Without metadata, which holds a date; the ids inside depend on the name alone."""
        file = io.StringIO()
        with look({"svg.hashsalt": self.name}):
            self.figure.savefig(file, format="svg", metadata={"Date": None}, facecolor=background)
        return re.sub(r"<metadata>.*?</metadata>", "", file.getvalue(), flags=re.DOTALL)


@contextmanager
def look(more: dict[str, Any] | None = None) -> Iterator[None]:
    """The look of all figures, for drawing and for saving: matplotlib makes some parts only when it saves."""
    import matplotlib.style

    # "default" first: the look must not depend on the settings of whoever runs it.
    with matplotlib.style.context(["default", {**_STYLE, **(more or {})}]):
        yield


def canvas(panels: int = 1, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """Fresh axes, in rows of so many ``columns``; those have the same x and y axis. A row of two is high enough for squares."""
    from matplotlib.figure import Figure

    columns = min(columns, panels)
    rows = -(-panels // columns)
    height = _HEIGHT if panels == 1 else 0.9 + 1.8 * rows if columns == 1 else 0.5 + 2.8 * rows
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).reshape(-1)
    for empty in axes[panels:]:
        empty.remove()
    return figure, list(axes[:panels])


def legend_above(figure: Figure, handles: Sequence[Any], labels: Sequence[str], title: str = "") -> None:
    """A legend above the axes, in two columns where they fit. The figure grows by as much, so that the axes keep their
    height, and a little more where there are many lines to tell apart."""
    if not handles:
        return
    # A histogram's own handle is an empty box, in which a line style cannot be seen.
    lines = [_as_line(handle) for handle in handles]
    half = -(-len(labels) // 2)
    fits = sum(max(map(len, column), default=0) for column in (labels[:half], labels[half:])) <= _LEGEND
    columns = 2 if fits else 1
    place: dict[str, Any] = {"loc": "outside upper center", "ncols": columns, "handlelength": 3.8, "columnspacing": 1.6}
    figure.legend(lines, labels, title=title or None, **place)
    rows = (half if fits else len(labels)) + bool(title)
    figure.set_figheight(figure.get_figheight() + 0.19 * max(rows - 2, 0) + 0.08 * max(len(labels) - 4, 0))


def size_axis(axes: Axes, sizes: Sequence[int]) -> None:
    """Descriptor sizes from left to right, each doubling one step."""
    ticks = sorted(set(sizes))
    low, high = np.log2(ticks[0]), np.log2(ticks[-1])
    margin = max(0.04 * (high - low), 0.1)
    axes.set_xscale("log", base=2)
    axes.set_xlim(2 ** (low - margin), 2 ** (high + margin))
    axes.set_xticks(ticks, spaced(ticks))
    axes.xaxis.minorticks_off()
    axes.set_xlabel("descriptor size [numbers]")


def spaced(sizes: Sequence[int]) -> list[str]:
    """A label for each size, rising, empty where it would run into its neighbor. The largest always has one."""
    span = float(np.log2(sizes[-1] / sizes[0]))
    labels = [str(sizes[-1])]
    after = sizes[-1]
    for size in reversed(sizes[:-1]):
        digits = (len(str(size)) + len(str(after))) / 2 + 1
        clear = np.log2(after / size) >= _DIGIT * digits * span
        labels.append(str(size) if clear else "")
        after = size if clear else after
    return labels[::-1]


def part_axis(axes: Axes, words: str, values: Sequence[float]) -> None:
    """A y axis for parts of the whole, close about the values."""
    lowest, highest = min(values), max(values)
    margin = max(0.1 * (highest - lowest), 0.02)
    axes.set_ylim(max(lowest - margin, 0.0), min(highest + margin, 1.0))
    axes.set_ylabel(f"{words} [0 to 1]")


def log_axis(axes: Axes, words: str, values: Sequence[float]) -> None:
    """A logarithmic x axis with few, plain numbers."""
    ratio = max(values) / min(values)
    margin = max(ratio**0.07, 1.25, (3 / ratio) ** 0.5)  # room for labels, and for a few ticks however narrow the data
    low, high = min(values) / margin, max(values) * margin
    decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    ticks: list[float] = []
    for steps in ((1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9), (1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        ticks = [step * decade for decade in decades for step in steps if low <= step * decade <= high]
        if len(ticks) <= 7:
            break
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_xticks(ticks, [f"{tick:.6g}" for tick in ticks])
    axes.xaxis.minorticks_off()
    axes.set_xlabel(words)


def plain(label: str) -> str:
    """Text as it is: matplotlib sets what stands between dollar signs as a formula, and hides a leading underscore."""
    text = label.replace("$", r"\$")
    return " " + text if text.startswith("_") else text


def _as_line(handle: Any) -> Line2D:
    from matplotlib.lines import Line2D

    if isinstance(handle, Line2D):
        return handle
    return Line2D([], [], color=handle.get_edgecolor(), linestyle=handle.get_linestyle(), linewidth=1.9)
