"""The figures of similarity: how alike images look to a method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.evaluation.figures.method_styles import LineStyle
from vpr_aesvc.evaluation.figures.style import INK, Drawing, canvas, legend_above, look, plain

Cosines = NDArray[np.float32]


@look()
def cosines_drawing(cosines: Mapping[str, Cosines], styles: Mapping[str, LineStyle]) -> Drawing | None:
    """Cosines of pairs of database images, over one another, with their standard deviations. None without any.

    Args:
        cosines: method -> [n].
    """
    kept = {name: found for name, values in cosines.items() if (found := values[np.isfinite(values)]).size}
    if not kept:
        return None
    figure, [axes] = canvas()
    bins = _bins(kept.values())
    for name, values in kept.items():
        style = styles[name]
        label = plain(f"{name}, σ = {values.std():.3f}")
        axes.hist(values, bins, density=True, histtype="stepfilled", color=style.color, alpha=0.13)
        line: dict[str, Any] = {"linewidth": 1.9, "linestyle": style.line, "label": label}
        axes.hist(values, bins, density=True, histtype="step", color=style.color, **line)
    axes.set_xlabel("cosine similarity of two database images")
    axes.set_ylabel("density")
    legend_above(figure, *axes.get_legend_handles_labels())
    reading = (
        "How alike two images of the database look to each method. The more narrowly a curve lies about zero (σ is its "
        "standard deviation), the less two places resemble each other by chance, and the more a right match stands out."
    )
    return Drawing("similarity_histograms", "Similarity histograms", reading, figure)


@look()
def pairs_drawing(pairs: Mapping[str, tuple[Cosines, Cosines]], styles: Mapping[str, LineStyle]) -> Drawing | None:
    """Cosines of pairs that show the same place against those that do not, a panel a method. None without any.

    Args:
        pairs: method -> cosines of matching pairs [n], of others [m].
    """
    kept = {}
    for name, both in pairs.items():
        same, others = (values[np.isfinite(values)] for values in both)
        if same.size and others.size:
            kept[name] = (same, others)
    if not kept:
        return None
    figure, panels = canvas(len(kept))
    bins = _bins([values for both in kept.values() for values in both])
    for axes, (name, (same, others)) in zip(panels, kept.items(), strict=True):
        color = styles[name].color
        axes.hist(others, bins, density=True, histtype="stepfilled", color=INK, alpha=0.1)
        axes.hist(others, bins, density=True, histtype="step", color=INK, linewidth=1.2, linestyle=(0, (3, 1.5)))
        axes.hist(same, bins, density=True, histtype="stepfilled", color=color, alpha=0.25)
        axes.hist(same, bins, density=True, histtype="step", color=color, linewidth=1.9)
        above = float((same > np.quantile(others, 0.99)).mean())
        axes.set_title(plain(name), loc="left", fontweight="bold")
        told = f"same place: {100 * above:.0f}\u00a0% above 99\u00a0% of the others"
        axes.set_title(told, loc="right", fontsize=9)
        axes.set_ylabel("density")
    panels[-1].set_xlabel("cosine similarity of two images")
    legend_above(figure, *_pair_handles())
    reading = (
        "Solid and filled: pairs of images of the same place; dashed: of different places. The less the two overlap, the "
        "easier a right match is told. At the right of each panel, how many of the matching pairs are more alike than 99\u00a0% "
        "of the others."
    )
    return Drawing("matching_pairs", "Matching and other pairs", reading, figure)


def _pair_handles() -> tuple[list[Any], list[str]]:
    from matplotlib.lines import Line2D

    solid = Line2D([], [], color=INK, linewidth=1.9)
    dashed = Line2D([], [], color=INK, linewidth=1.2, linestyle=(0, (3, 1.5)))
    return [solid, dashed], ["same place", "different places"]


def _bins(values: Any) -> list[float]:
    """Edges of bins that hold all values, float32 arrays, and are the same for all."""
    low = min(float(some.min()) for some in values)
    high = max(float(some.max()) for some in values)
    return [float(edge) for edge in np.linspace(low - 0.01, high + 0.01, 71)]
