"""The figure of similarity: cosines of pairs of images."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.evaluation.figures.style import (
    INK,
    Drawing,
    canvas,
    escape_label,
    figure_style,
    legend_above,
    method_style,
)

Cosines = NDArray[np.float32]


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
