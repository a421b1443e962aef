"""The figures of a report: functions from results to a ``Drawing``, for a page or for files."""

from vpr_aesvc.evaluation.figures.choice import cosines_drawing, cost_drawing
from vpr_aesvc.evaluation.figures.methods import size_drawing
from vpr_aesvc.evaluation.figures.precision_recall import curve_drawing
from vpr_aesvc.evaluation.figures.style import Drawing
from vpr_aesvc.evaluation.results import MAP4, R1, Report


def drawings(report: Report) -> list[Drawing]:
    """Every figure that the report has data for. Those that compare methods are of one encoder."""
    encoder = report.shown[0].encoder if report.shown else ""
    results = [one for one in report.results if one.encoder == encoder]
    figures = [
        cost_drawing(report.results, report.use, "frame_ms"),
        cost_drawing(report.results, report.use, "bytes_per_place"),
        size_drawing(results, R1),
        size_drawing(results, MAP4),
        curve_drawing(report.shown),
        cosines_drawing(report.cosines, report.shown),
    ]
    return [drawing for drawing in figures if drawing is not None]
