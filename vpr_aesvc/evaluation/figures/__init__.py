"""The figures of a report: functions from results to a ``Drawing``, for a page or for files."""

from vpr_aesvc.evaluation.figures.accuracy import cost_drawing, size_drawing, upper_bound_drawing
from vpr_aesvc.evaluation.figures.histograms import cosines_drawing, pairs_drawing
from vpr_aesvc.evaluation.figures.precision_recall import curve_drawing, reliability_drawing, variants_drawing
from vpr_aesvc.evaluation.figures.style import Drawing
from vpr_aesvc.evaluation.results import MEASURES, Report, headline_first


def drawings(report: Report) -> list[Drawing]:
    """Every figure that the report has data for, the headline first."""
    results, headline = report.results, MEASURES[report.metric]
    figures = [
        *(size_drawing(results, measure) for measure in headline_first(report.metric) if measure.name != "R@5"),
        cost_drawing(results, headline),
        upper_bound_drawing(results, report.upper_bound, headline) if report.upper_bound else None,
        curve_drawing(results),
        cosines_drawing(report.cosines),
        pairs_drawing(report.pairs),
        variants_drawing(report.recognition) if report.recognition else None,
        reliability_drawing(report.recognition) if report.recognition else None,
    ]
    return [drawing for drawing in figures if drawing is not None]
