"""Writes HTML pages, one file with no script and no references to other files; and the report of a demo or a benchmark, with its figures as files."""

import base64
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import require_installed
from vpr_aesvc.evaluation.results import Prediction, Report
from vpr_aesvc.evaluation.tables import report_tables
from vpr_aesvc.files import os_errors_named, write_file
from vpr_aesvc.images import as_rgb, encode_jpeg, thumbnail

_THUMBNAIL_SIZE = 320  # pixels; twice the width of a picture on a wide page, for high-resolution screens


def check_installed() -> None:
    """Raises VprError where a library for reports is missing. Call it before a long run that ends in a report."""
    require_installed("a report", "matplotlib", "jinja2", "scipy", "sklearn")


def render_page(template: str, **values: Any) -> str:
    """Fills a template of this folder. Text is escaped; an undefined name is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("vpr_aesvc", "evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    return environment.get_template(template).render(**values)


def _breakable(text: object) -> str:
    """Long names and paths get places to break after their parts, so that no line breaks inside a word."""
    from markupsafe import Markup, escape

    words = (
        re.sub(r"([/_\-.@=,])(?=\w)", r"\1<wbr>", word) if len(word) > 20 else word
        for word in str(escape(text)).split(" ")
    )
    return Markup(" ".join(words))


def write_report(report: Report, path: Path) -> None:
    """Writes the report page. An existing file is replaced; after an error it is unchanged. The same report gives the same bytes with the same
    library versions.

    Raises:
        VprError: matplotlib or jinja2 is not installed, or the file cannot be written.
    """
    write_file(Path(path), render(report).encode(), "report")


def save_figures(report: Report, folder: Path) -> list[Path]:
    """Writes each figure as PNG and SVG, black on white, such as ``recall_against_size.png``. Makes the folder; replaces files of the same name.

    Returns:
        the files, in the order of the page.

    Raises:
        VprError: matplotlib is not installed, or a file cannot be written.
    """
    check_installed()
    from vpr_aesvc.evaluation.figures import drawings

    with os_errors_named(folder, "folder of figures"):
        folder.mkdir(parents=True, exist_ok=True)
    return [path for drawing in drawings(report) for path in drawing.save(folder)]


def render(report: Report) -> str:
    """The page as text.

    Raises:
        VprError: matplotlib or jinja2 is not installed.
    """
    check_installed()
    from vpr_aesvc.evaluation.figures import drawings

    return render_page(
        "report.html",
        report=report,
        summary=report.summary,
        tables=report_tables(report),
        drawings=drawings(report),
        cards=cards_of(report.predictions),
        right=sum(prediction.right for prediction in report.predictions),
    )


def cards_of(predictions: Sequence[Prediction]) -> list[dict[str, object]]:
    """What ``card_grid`` of the templates shows."""
    return [{"prediction": one, "query": _picture(one.query), "match": _picture(one.match)} for one in predictions]


def _picture(image: NDArray[np.uint8]) -> dict[str, object]:
    small = thumbnail(as_rgb(image), _THUMBNAIL_SIZE)
    source = "data:image/jpeg;base64," + base64.b64encode(encode_jpeg(small, 80)).decode()
    return {"source": source, "height": small.shape[0], "width": small.shape[1]}
