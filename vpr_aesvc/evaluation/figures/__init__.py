"""The figures of a report: functions from results to a ``Drawing``, for a page or for files."""

from vpr_aesvc.evaluation.figures.methods import size_drawing
from vpr_aesvc.evaluation.figures.precision_recall import curve_drawing
from vpr_aesvc.evaluation.figures.style import Drawing
from vpr_aesvc.evaluation.results import MAP4, R1, Report


def drawings(report: Report) -> list[Drawing]:
    """Every figure that the report has data for."""
    figures = [
        size_drawing(report.results, R1),
        size_drawing(report.results, MAP4),
        curve_drawing(report.results),
    ]
    return [drawing for drawing in figures if drawing is not None]
