"""The figures of a choice: accuracy against cost with the Pareto front, and how far right matches stand out."""

from collections.abc import Mapping, Sequence

import numpy as np

from vpr_aesvc.evaluation.figures.style import (
    INK,
    METHOD_STYLES,
    Drawing,
    canvas,
    escape_label,
    figure_style,
    fraction_axis,
    legend_above,
    method_style,
)
from vpr_aesvc.evaluation.recommendation import TIMING_NOISE
from vpr_aesvc.evaluation.results import R1, MethodResult, pareto_front
from vpr_aesvc.types import Floats

_ENCODER_STYLES = [
    METHOD_STYLES[name] for name in ("AE-SVC", "(SS)2D rotation", "SSD (paper)", "VAE (paper)", "PCA", "raw")
]


@figure_style()
def cost_drawing(results: Sequence[MethodResult], use: MethodResult | None, cost: str) -> Drawing | None:
    """Recall at 1 against ``bytes_per_place`` or ``frame_ms``, with the Pareto front. None with fewer than two costs, or where times span no more
    than the noise of timing."""
    known = [one for one in results if getattr(one, cost) is not None and R1.value(one) is not None]
    costs = [getattr(one, cost) for one in known]
    is_time = cost == "frame_ms"
    if not costs or max(costs) <= min(costs) * (TIMING_NOISE if is_time else 1):
        return None
    figure, axes = canvas()
    encoders = list(dict.fromkeys(one.encoder for one in known))
    for name, style in zip(encoders, _ENCODER_STYLES * len(encoders), strict=False):
        points = [(getattr(one, cost), one.recall[1]) for one in known if one.encoder == name]
        axes.plot(
            *zip(*points, strict=True),
            style.marker,
            color=style.color,
            markersize=5,
            alpha=0.6,
            label=escape_label(name),
        )
    front = pareto_front(known, cost)
    x, y = [getattr(one, cost) for one in front], [one.recall[1] for one in front]
    axes.step([*x, max(costs)], [*y, y[-1]], where="post", color=INK, linewidth=1.2, label="Pareto front")
    if use in known:
        axes.plot(
            getattr(use, cost),
            use.recall[1],
            "o",
            markersize=13,
            fillstyle="none",
            color=INK,
            markeredgewidth=2,
            label="use this",
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    fraction_axis(axes, R1.axis_label, [one.recall[1] for one in known])
    axes.set_xlabel("milliseconds to describe and search" if is_time else "bytes a place")
    legend_above(figure, *axes.get_legend_handles_labels())
    caption = "Each point is a method at one size. Further up is better, further left is cheaper; no point beats one on the front in both."
    title = "Accuracy against time" if is_time else "Accuracy against memory"
    return Drawing("recall_against_time" if is_time else "recall_against_bytes", title, caption, figure)


@figure_style()
def cosines_drawing(cosines: Mapping[str, tuple[Floats, Floats]], shown: Sequence[MethodResult]) -> Drawing | None:
    """The cosines of right and of other pairs of each method, on one axis."""
    if not cosines:
        return None
    figure, axes = canvas()
    span = (-4.0, max(4.0, *(float(np.quantile(same, 0.99)) + 1 for same, _ in cosines.values())))
    bins = np.linspace(*span, 67).tolist()
    for one in shown:
        (pairs, others), style = cosines[one.method], method_style(one.method)
        above = float((pairs > np.quantile(others, 0.99)).mean())
        label = escape_label(f"{one.method} ({one.size}): {100 * above:.0f} %")
        same = pairs.clip(*span)
        axes.hist(
            same,
            bins,
            density=True,
            histtype="step",
            color=style.color,
            linestyle=style.dashes,
            linewidth=1.6,
            label=label,
        )
    different = np.concatenate([others for _, others in cosines.values()]).clip(*span)
    axes.hist(
        different,
        bins,
        density=True,
        histtype="stepfilled",
        color=INK,
        alpha=0.15,
        label="different places, all methods",
    )
    axes.set_xlabel("cosine, in standard deviations\nfrom the mean of different places")
    axes.set_ylabel("density")
    axes.set_xlim(*span)
    handles, labels = axes.get_legend_handles_labels()
    legend_above(figure, handles, labels, title="same place, method (size): above 99 %")
    caption = (
        "Lines: cosines of pairs of images of the same place. Filled: of pairs of different places. Each method's cosines are shifted and scaled so that "
        "its own different places have mean 0 and standard deviation 1: so methods compare on one axis. Further right is better. In the legend: the part of "
        "the pairs of the same place that are more similar than 99\u00a0% of the others."
    )
    return Drawing("cosines", "How far right matches stand out", caption, figure)
