"""The paper's four panels in one figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.labeled_sets import TITLES
from benchmarks.paper_runs import (
    AESVC,
    GFLOP_PER_NUMBER,
    OUR_AESVC,
    OUR_SS2D,
    PCA,
    RAW,
    SS2D,
    SSD,
    VAE,
    PaperRun,
    published_by,
)
from vpr_aesvc.evaluation.figures.style import (
    INK,
    Drawing,
    escape_label,
    figure_style,
    method_style,
    size_axis,
)

_THEIR_BACKBONES = ("DINO-B16", "ViT", "DINOv2-L")
_STAR: dict[str, Any] = {"marker": "*", "markersize": 11, "linestyle": "none", "markeredgecolor": INK, "clip_on": False}
_SIZE, _COST = (RAW, PCA, AESVC, SS2D, OUR_AESVC, OUR_SS2D), (RAW, AESVC, SS2D, OUR_SS2D)
_REDUCTION = (PCA, VAE, SSD, SS2D, AESVC)


@figure_style({"font.size": 9, "axes.titlesize": 9, "legend.fontsize": 9})
def paper_drawing(runs: Sequence[PaperRun]) -> Drawing:
    """The panels of all runs: sets in rows or columns, as in the order of the runs."""
    from matplotlib.figure import Figure

    sets = list(dict.fromkeys(run.dataset for run in runs))
    backbones = list(dict.fromkeys(run.backbone for run in runs))
    rows, columns = (2, len(sets), 1, 1), max(len(backbones) + 1, len(sets))
    figure = Figure(figsize=(max(2.3 * columns, 8), 2.1 * sum(rows) + 4), layout="constrained")
    panels = figure.subfigures(4, 1, height_ratios=[row + 0.55 for row in rows], hspace=0.03)
    _histograms(panels[0], runs, sets)
    _sizes(panels[1], runs, sets, backbones)
    _by_set(panels[2], runs, sets, _REDUCTION, "3. (SS)2D against SSD, VAE and PCA")
    _by_set(
        panels[3], runs, sets, _COST, f"4. mAP@4 against GFLOPs ({GFLOP_PER_NUMBER:g} a number, the paper's axis)", True
    )
    caption = "Stars are the authors' figures, read off their plots."
    return Drawing("paper", "The paper's experiments", caption, figure)


def _histograms(panel: Any, runs: Sequence[PaperRun], sets: list[str]) -> None:
    """One row for the first foundation model, one for the first dataset-specific one."""
    panel.suptitle(
        "1. Cosine similarity of two database images, before and after AE-SVC", fontweight="bold", x=0.01, ha="left"
    )
    grid = panel.subplots(2, len(sets), squeeze=False, sharex="row")
    for row, specific in enumerate((False, True)):
        for axes, name in zip(grid[row], sets, strict=True):
            run = next((one for one in runs if one.dataset == name and one.specific == specific), None)
            if run is None:
                axes.set_axis_off()
                axes.set_title(f"{name}: no {'dataset-specific' if specific else 'foundation'} model")
                continue
            bins = np.linspace(min(c.min() for c in run.cosines.values()) - 0.01, 1.01, 81).tolist()
            for method in (RAW, AESVC):
                style, values = method_style(method), run.cosines[method]
                counts, edges = np.histogram(values, bins)
                label = f"{'before' if method == RAW else 'after'}, σ = {values.std():.3f}"
                axes.stairs(counts / counts.max(), edges, fill=True, color=style.color, alpha=0.25)
                axes.stairs(counts / counts.max(), edges, label=label, color=style.color, linewidth=1.6)
            axes.set_ylim(0, 1.45)
            axes.set_yticks([0, 0.5, 1])
            axes.legend(loc="upper left", fontsize=7.5, handlelength=1.2)
            axes.set_title(f"{_title(name)}\n{run.backbone}{' (dataset-specific)' if specific else ''}")
        grid[row, 0].set_ylabel("density, highest = 1")
    for axes in grid[-1]:
        axes.set_xlabel("cosine similarity")


def _sizes(panel: Any, runs: Sequence[PaperRun], sets: list[str], backbones: list[str]) -> None:
    """Sets in rows, models in columns, the authors' figures in the last column."""
    panel.suptitle("2. mAP@4 against descriptor size [numbers]", fontweight="bold", x=0.01, ha="left")
    grid = panel.subplots(len(sets), len(backbones) + 1, squeeze=False)
    by_pair = {(run.dataset, run.backbone): run for run in runs}
    for name, row in zip(sets, grid, strict=True):
        for backbone, axes in zip(backbones, row, strict=False):
            run = by_pair.get((name, backbone))
            if run is None:
                axes.set_axis_off()
                continue
            _curves(axes, run, _SIZE)
            if name == sets[0]:
                axes.set_title(backbone)
        row[0].set_ylabel(f"{_title(name)}\nmAP@4")
        drawn = [axes for axes in row[:-1] if axes.axison]
        low, high = (
            pick(edge)
            for pick, edge in zip((min, max), zip(*(axes.get_ylim() for axes in drawn), strict=True), strict=True)
        )
        for axes in drawn:
            axes.set_ylim(low, high)
            axes.tick_params(labelleft=axes is drawn[0])
        _authors(row[-1], name)
        if name == sets[0]:
            row[-1].set_title("the authors'")
    _legend(panel, grid.reshape(-1))


def _authors(axes: Any, dataset: str) -> None:
    """Raw and AE-SVC at full size for each of their models."""
    known = [(backbone, published_by(dataset, backbone)) for backbone in _THEIR_BACKBONES]
    known = [(backbone, found) for backbone, found in known if found]
    if not known:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "none read off", ha="center", transform=axes.transAxes)
        return
    for at, (_, found) in enumerate(known):
        for method, ours in (("raw", RAW), ("AE-SVC", AESVC)):
            axes.plot(at, found[method][0], color=method_style(ours).color, **_STAR)
    axes.set_xticks(range(len(known)), [backbone for backbone, _ in known], fontsize=7.5)
    axes.set_xlim(-0.5, len(known) - 0.5)
    axes.margins(y=0.15)


def _by_set(
    panel: Any, runs: Sequence[PaperRun], sets: list[str], methods: Sequence[str], title: str, cost: bool = False
) -> None:
    """One plot for each set, with its first model."""
    panel.suptitle(title, fontweight="bold", x=0.01, ha="left")
    row = panel.subplots(1, len(sets), squeeze=False)[0]
    for axes, name in zip(row, sets, strict=True):
        run = next(one for one in runs if one.dataset == name)
        _curves(axes, run, methods, cost)
        axes.set_title(f"{_title(name)}, {run.backbone}")
        axes.set_xlabel("GFLOPs" if cost else "descriptor size [numbers]")
    row[0].set_ylabel("mAP@4")
    _legend(panel, row)


def _curves(axes: Any, run: PaperRun, methods: Sequence[str], cost: bool = False) -> None:
    scale = GFLOP_PER_NUMBER if cost else 1
    sizes = sorted({size for method in methods if method != RAW for size in run.scores.get(method, ())})
    for method in methods:
        points, style = run.scores.get(method), method_style(method)
        if points and method == RAW and not cost:
            axes.axhline(points[run.dim], label="raw, all numbers", **style.line)
        elif points:
            label = escape_label(method)
            axes.plot(
                [scale * size for size in points],
                list(points.values()),
                marker=style.marker,
                markersize=4.5,
                label=label,
                **style.line,
            )
        for size, value in run.theirs.get(method.removesuffix(" (paper)"), {}).items():
            axes.plot(scale * (size or run.dim), value, color=style.color, label="the authors'", **_STAR)
    if cost:
        axes.set_xlim(left=0)
    else:
        size_axis(axes, sizes)
        axes.set_xlabel("")
        axes.tick_params(axis="x", labelsize=7.5)


def _legend(panel: Any, grid: Sequence[Any]) -> None:
    found: dict[str, Any] = {}
    for axes in grid:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    panel.legend(list(found.values()), list(found), loc="outside lower center", ncols=len(found), handlelength=3.6)


def _title(dataset: str) -> str:
    return TITLES[dataset].split(" (")[0]
