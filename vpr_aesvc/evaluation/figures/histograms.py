"""The figures of similarity: cosines of pairs of images."""

from collections.abc import Iterable, Mapping

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
def cosines_drawing(cosines: Mapping[str, Cosines]) -> Drawing | None:
    """Histograms of the cosines of pairs of database images, with their standard deviations. None without any.

    Args:
        cosines: method -> [n].
    """
    finite = {name: kept for name, values in cosines.items() if (kept := values[np.isfinite(values)]).size}
    if not finite:
        return None
    figure, [axes] = canvas()
    bins = _bins(finite.values())
    for name, values in finite.items():
        style = method_style(name)
        label = escape_label(f"{name}, σ = {values.std():.3f}")
        axes.hist(values, bins, density=True, histtype="stepfilled", color=style.color, alpha=0.13)
        outline = {**style.line, "linewidth": 1.9, "label": label}
        axes.hist(values, bins, density=True, histtype="step", **outline)
    axes.set_xlabel("cosine similarity of two database images")
    axes.set_ylabel("density")
    legend_above(figure, *axes.get_legend_handles_labels())
    caption = (
        "Similarity of two database images under each method. A narrow curve around zero (σ is its standard deviation) means that two places rarely look "
        "alike by chance, so a right match stands out."
    )
    return Drawing("similarity_histograms", "Similarity histograms", caption, figure)


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
    bins = _bins(values for both in finite.values() for values in both)
    for axes, (name, (same, others)) in zip(panels, finite.items(), strict=True):
        color = method_style(name).color
        axes.hist(others, bins, density=True, histtype="stepfilled", color=INK, alpha=0.1)
        axes.hist(others, bins, density=True, histtype="step", color=INK, linewidth=1.2, linestyle=(0, (3, 1.5)))
        axes.hist(same, bins, density=True, histtype="stepfilled", color=color, alpha=0.25)
        axes.hist(same, bins, density=True, histtype="step", color=color, linewidth=1.9)
        above = float((same > np.quantile(others, 0.99)).mean())
        axes.set_title(escape_label(name), loc="left", fontweight="bold")
        axes.set_title(f"same place: {100 * above:.0f}\u00a0% above 99\u00a0% of the others", loc="right", fontsize=9)
        axes.set_ylabel("density")
    panels[-1].set_xlabel("cosine similarity of two images")
    solid = panels[0].plot([], [], color=INK, linewidth=1.9)
    dashed = panels[0].plot([], [], color=INK, linewidth=1.2, linestyle=(0, (3, 1.5)))
    legend_above(figure, [*solid, *dashed], ["same place", "different places"])
    caption = (
        "Solid and filled: pairs of images of the same place. Dashed: pairs of different places. The less they overlap, the easier it is to recognize a "
        "right match. Right of each title: the fraction of the matching pairs that are more similar than 99\u00a0% of the others."
    )
    return Drawing("matching_pairs", "Matching and other pairs", caption, figure)


def _bins(arrays: Iterable[Cosines]) -> list[float]:
    """Edges of 70 common bins that hold all values."""
    values = np.concatenate(list(arrays)).astype(np.float64)
    return np.linspace(values.min() - 0.01, values.max() + 0.01, 71).tolist()
