"""The common style of all figures, the line of each method, and their output: inline SVG for a page, PNG and SVG files.

matplotlib is imported where it is used; pyplot is not used. Figures are drawn in one ink color. In a page the ink becomes the text color, so that a
figure is readable on a dark page; in a file it is black on white. A method or a variant has the same line in every figure: a color with contrast on a
white and on a dark page, and its own marker and dashes, to be told apart in gray and by color-blind readers.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vpr_aesvc.files import write_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#010203"  # a black that nothing else uses, so that it can be replaced in the SVG
WIDTH, _HEIGHT = 4.4, 3.4  # inches; on a page 390 pixels wide, text of 10 points is then 11 pixels high
_DPI = 300
_LEGEND_WIDTH = 36  # characters that fit in two columns of a legend
_STYLE = {
    "svg.fonttype": "none",  # keeps text as text: it takes the page's font and can be searched
    "font.size": 10,
    "legend.fontsize": 10,
    "legend.title_fontsize": 10,
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
class LineStyle:
    color: str
    marker: str
    dashes: Any  # a matplotlib line style
    width: float = 1.5

    @property
    def line(self) -> dict[str, Any]:
        """Arguments of ``Axes.plot``."""
        return {"color": self.color, "linestyle": self.dashes, "linewidth": self.width}


METHOD_STYLES = {
    "raw": LineStyle("#808080", "X", (0, (5, 2.5))),
    "PCA": LineStyle("#b07d00", "^", (0, (1, 1.4))),
    "whitening": LineStyle("#a0664a", "v", (0, (6, 1.5, 1.2, 1.5, 1.2, 1.5))),
    "AE-SVC": LineStyle("#2a86c8", "s", (0, (5, 1.6)), 2.0),
    "(SS)2D rotation": LineStyle("#d55e00", "o", "-", 2.2),
    "VAE (paper)": LineStyle("#a8557f", "d", (0, (1.2, 2.2))),
    "AE-SVC (paper)": LineStyle("#1f7a8c", "h", (0, (9, 2))),
    "SSD (paper)": LineStyle("#3f8f3f", "*", (0, (4, 1.4, 1, 1.4, 1, 1.4))),
    "(SS)2D (paper)": LineStyle("#c2483a", ">", (0, (12, 1.6, 2, 1.6)), 2.0),
}
_OTHER = LineStyle("#5b8c00", "p", (0, (10, 1.5, 3, 1.5)))

VARIANT_STYLES = {
    "single frame": LineStyle("#b07d00", "^", (0, (1, 1.4)), 2.0),
    "with sequence": LineStyle("#2a86c8", "s", (0, (5, 1.6)), 2.0),
    "with geometry": LineStyle("#0f9b77", "P", (0, (7, 1.8, 1.4, 1.8)), 2.0),
    "with both": LineStyle("#d55e00", "o", "-", 2.2),
}


def method_style(method: str) -> LineStyle:
    return METHOD_STYLES.get(method, _OTHER)


@dataclass(frozen=True)
class Drawing:
    """A figure with its texts."""

    name: str  # of its files: "recall_against_size"
    title: str
    caption: str
    figure: Figure

    def inline(self) -> str:
        """``<svg>`` for an HTML page, in the page's text color: without prolog, fixed size, background and group ids (two figures would share
        them)."""
        text = self._svg("none")
        text = re.sub(r"<style.*?</style>", "", text[text.index("<svg") :], flags=re.DOTALL)
        text = re.sub(r'<g id="[^"]*"', "<g", text)
        view = re.search(r'viewBox="[^"]*"', text)
        assert view is not None
        text = re.sub(
            r"^<svg[^>]*>", f'<svg {view[0]} role="img" aria-label="{self.title}" aria-describedby="{self.name}">', text
        )
        return text.replace(INK, "currentColor").strip()

    def svg(self) -> bytes:
        """An SVG file, on white."""
        return self._svg("white").replace(INK, "#000000").encode()

    def png(self) -> bytes:
        """A PNG file, on white, 300 dots per inch."""
        file = io.BytesIO()
        with figure_style():
            self.figure.savefig(file, format="png", dpi=_DPI, facecolor="white")
        return file.getvalue()

    def save(self, folder: Path) -> list[Path]:
        """Writes both files; raises VprError where one cannot be written."""
        paths = []
        for suffix, content in ((".png", self.png()), (".svg", self.svg())):
            paths.append(folder / f"{self.name}{suffix}")
            write_file(paths[-1], content, "figure")
        return paths

    def _svg(self, background: str) -> str:
        """Without metadata, which contains a date. Ids inside depend only on the name."""
        file = io.StringIO()
        with figure_style({"svg.hashsalt": self.name}):
            self.figure.savefig(file, format="svg", metadata={"Date": None}, facecolor=background)
        return re.sub(r"<metadata>.*?</metadata>", "", file.getvalue(), flags=re.DOTALL)


@contextmanager
def figure_style(more: dict[str, Any] | None = None) -> Iterator[None]:
    """The style of all figures, for drawing and for saving: matplotlib makes some parts only when it saves."""
    import matplotlib.style

    # "default" first: the style must not depend on the user's matplotlib settings.
    with matplotlib.style.context(["default", {**_STYLE, **(more or {})}]):
        yield


def canvas() -> tuple[Figure, Axes]:
    """A figure with one pair of axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, _HEIGHT), layout="constrained")
    return figure, figure.subplots()


def legend_above(figure: Figure, handles: Sequence[Any], labels: Sequence[str], title: str = "") -> None:
    """A legend above the axes, in two columns where they fit. The figure grows by the height of the legend, and a little more for many lines."""
    half = -(-len(labels) // 2)
    fits = sum(max(map(len, column), default=0) for column in (labels[:half], labels[half:])) <= _LEGEND_WIDTH
    columns = 2 if fits else 1
    place: dict[str, Any] = {"loc": "outside upper center", "ncols": columns, "handlelength": 3.2, "columnspacing": 1.2}
    figure.legend(handles, labels, title=title or None, **place)
    rows = (half if fits else len(labels)) + bool(title)
    figure.set_figheight(figure.get_figheight() + 0.19 * max(rows - 2, 0) + 0.08 * max(len(labels) - 4, 0))


def size_axis(axes: Axes, sizes: Sequence[int]) -> None:
    """A logarithmic x axis of descriptor sizes."""
    ticks = sorted(set(sizes))
    low, high = np.log2(ticks[0]), np.log2(ticks[-1])
    margin = max(0.04 * (high - low), 0.1)
    axes.set_xscale("log", base=2)
    axes.set_xlim(2 ** (low - margin), 2 ** (high + margin))
    # No label where the next size is so near that it would overlap.
    axes.set_xticks(ticks, [str(size) if after >= 1.4 * size else "" for size, after in pairwise([*ticks, np.inf])])
    axes.xaxis.minorticks_off()
    axes.set_xlabel("descriptor size [numbers]")


def fraction_axis(axes: Axes, label: str, values: Sequence[float]) -> None:
    """A y axis for fractions, close around the values."""
    lowest, highest = min(values), max(values)
    margin = max(0.1 * (highest - lowest), 0.02)
    axes.set_ylim(max(lowest - margin, 0.0), min(highest + margin, 1.0))
    axes.set_ylabel(f"{label} [0 to 1]")


def escape_label(label: str) -> str:
    """Literal text: matplotlib sets text between dollar signs as a formula, and hides labels with a leading underscore."""
    text = label.replace("$", r"\$")
    return " " + text if text.startswith("_") else text
