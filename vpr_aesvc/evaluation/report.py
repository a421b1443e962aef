"""The report of a demo or a benchmark: one HTML file that opens anywhere, with no script and nothing to fetch; its
figures also as files of their own.

matplotlib and jinja2 are imported only when a report is written; the data classes here need neither.
"""

from __future__ import annotations

import base64
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.evaluation.recognition_table import recognition_table
from vpr_aesvc.evaluation.report_contents import Prediction, Report
from vpr_aesvc.evaluation.tables import cost_table, groups_tables, published_table, results_table
from vpr_aesvc.files import write_file
from vpr_aesvc.images import as_rgb, encode_jpeg, thumbnail

_LONGEST = 320  # pixels, of a picture in the gallery: twice as many as it covers on a wide page, for fine screens


def write_report(report: Report, path: Path) -> None:
    """Writes the report to ``path``. An existing file is replaced; a failure leaves it as it was. The same report gives
    the same bytes with the same library versions.

    Raises:
        VprError: matplotlib or jinja2 is not installed, or the file cannot be written.
    """
    page = render(report).encode()
    write_file(Path(path), page, "report")


def save_figures(report: Report, folder: Path) -> list[Path]:
    """Writes each figure as PNG and as SVG, black on white, such as ``recall_against_size.png``. The folder is made where
    it is missing; files of the same names in it are replaced. The same report gives the same bytes, as above.

    Returns:
        The files, in the order in which the page shows the figures.

    Raises:
        VprError: matplotlib is not installed, or a file cannot be written.
    """
    check_installed()
    from vpr_aesvc.evaluation.figures import drawings

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VprError(f"{folder}: the folder of figures cannot be made ({error.strerror or error})") from error
    paths = []
    for drawing in drawings(report):
        for suffix, content in ((".png", drawing.png()), (".svg", drawing.svg())):
            paths.append(folder / f"{drawing.name}{suffix}")
            write_file(paths[-1], content, "figure")
    return paths


def check_installed() -> None:
    """Raises VprError unless a report can be drawn here. Worth calling before a long run that ends in a report."""
    try:
        import jinja2  # noqa: F401
        import matplotlib  # noqa: F401
        import scipy  # noqa: F401
        import sklearn  # noqa: F401
    except ImportError as error:
        raise VprError(
            "a report needs matplotlib, jinja2, scipy and scikit-learn: pip install 'vpr_aesvc[bench]'"
        ) from error


def render(report: Report) -> str:
    """The page as text.

    Raises:
        VprError: matplotlib or jinja2 is not installed.
    """
    check_installed()
    from jinja2 import Environment, StrictUndefined

    from vpr_aesvc.evaluation.figures import drawings

    tables = [
        results_table(report.results, report.metric),
        cost_table(report.results),
        *groups_tables(report.groups),
        published_table(report.published),
        recognition_table(report.recognition),
    ]
    source = resources.files("vpr_aesvc.evaluation").joinpath("report.html").read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(source).render(
        report=report,
        tables=[table for table in tables if table is not None],
        drawings=drawings(report),
        cards=[_card(prediction) for prediction in report.predictions],
        right=sum(prediction.right for prediction in report.predictions),
    )


def _card(prediction: Prediction) -> dict[str, object]:
    def picture(image: NDArray[np.uint8]) -> dict[str, object]:
        small = thumbnail(as_rgb(image), _LONGEST)
        return {
            "source": "data:image/jpeg;base64," + base64.b64encode(encode_jpeg(small, 80)).decode(),
            "height": small.shape[0],
            "width": small.shape[1],
        }

    return {"said": prediction, "query": picture(prediction.query), "match": picture(prediction.match)}
