"""The figures of a report: each a function from results to a Drawing, which goes into a page or into files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpr_aesvc.evaluation.figures.cost import cost_drawing
from vpr_aesvc.evaluation.figures.curve import curve_drawing
from vpr_aesvc.evaluation.figures.histograms import cosines_drawing, pairs_drawing
from vpr_aesvc.evaluation.figures.method_styles import method_styles
from vpr_aesvc.evaluation.figures.recognition import parts_drawing, reliability_drawing
from vpr_aesvc.evaluation.figures.size import size_drawing, upper_bound_drawing
from vpr_aesvc.evaluation.figures.style import Drawing
from vpr_aesvc.evaluation.measures import MEASURES, headline_first

if TYPE_CHECKING:
    from vpr_aesvc.evaluation.report_contents import Report

__all__ = [
    "Drawing",
    "cosines_drawing",
    "cost_drawing",
    "curve_drawing",
    "drawings",
    "method_styles",
    "pairs_drawing",
    "parts_drawing",
    "reliability_drawing",
    "size_drawing",
    "upper_bound_drawing",
]


def drawings(report: Report) -> list[Drawing]:
    """Every figure that the report has data for, the headline first."""
    results = report.results
    styles = method_styles([*(result.method for result in results), *report.cosines, *report.pairs])
    headline = MEASURES[report.metric]
    shown = [measure for measure in headline_first(report.metric) if measure.name != "R@5"]
    every = [
        *(size_drawing(results, styles, measure) for measure in shown),
        cost_drawing(results, styles, headline),
        upper_bound_drawing(results, styles, report.upper_bound, headline) if report.upper_bound else None,
        curve_drawing(results, styles),
        cosines_drawing(report.cosines, styles),
        pairs_drawing(report.pairs, styles),
        parts_drawing(report.recognition) if report.recognition else None,
        reliability_drawing(report.recognition) if report.recognition else None,
    ]
    return [drawing for drawing in every if drawing is not None]
