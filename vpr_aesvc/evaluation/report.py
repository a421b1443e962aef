"""The report: one HTML file that opens anywhere, with no script and nothing to fetch.

matplotlib and jinja2 are imported only when a report is written; the data classes here need neither.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.evaluation.results import MethodResult
from vpr_aesvc.files import write_file
from vpr_aesvc.images import as_rgb, encode_jpeg, thumbnail

_KS = (1, 5)  # the recalls in the table
_LONGEST = 320  # pixels, of a picture in the gallery: twice as many as it covers on a wide page, for fine screens


@dataclass(frozen=True)
class Prediction:
    """One query and its best match."""

    query: NDArray[np.uint8]  # RGB [H, W, 3]
    match: NDArray[np.uint8]  # RGB [H, W, 3]
    query_label: str
    match_label: str
    similarity: float  # cosine
    right: bool
    distance: float | None  # metres between the poses; None where one is not known


@dataclass(frozen=True)
class Report:
    """All that a report shows. Every prediction given is shown, so the caller chooses them, wrong ones included."""

    title: str
    summary: list[str]  # sentences for the top
    results: list[MethodResult]
    predictions: list[Prediction]
    cosines: dict[str, NDArray[np.float32]]  # method -> cosines of pairs of database images [n]
    notes: list[tuple[str, str]]  # how it was made, by row


@dataclass(frozen=True)
class _Cell:
    """A number of the table as text; ``best`` when no method does better in this column and there is more than one."""

    text: str
    best: bool = False
    bytes: int | None = None  # said in the cell only where methods of one size differ


@dataclass(frozen=True)
class _Table:
    ks: tuple[int, ...]
    columns: list[tuple[int, int | None]]  # size, and the bytes a place where all its methods agree
    rows: list[tuple[str, list[_Cell]]]  # method, cells: one per size and k


def write_report(report: Report, path: Path) -> None:
    """Writes the report to ``path``. An existing file is replaced; a failure leaves it as it was. The same report gives
    the same bytes with the same library versions.

    Raises:
        VprError: matplotlib or jinja2 is not installed, or the file cannot be written.
    """
    page = render(report).encode()
    write_file(Path(path), page, "report")


def check_installed() -> None:
    """Raises VprError unless a report can be drawn here. Worth calling before a long run that ends in a report."""
    try:
        import jinja2  # noqa: F401
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise VprError("a report needs matplotlib and jinja2: pip install 'vpr_aesvc[bench]'") from error


def render(report: Report) -> str:
    """The page as text.

    Raises:
        VprError: matplotlib or jinja2 is not installed.
    """
    check_installed()
    from jinja2 import Environment, StrictUndefined

    from vpr_aesvc.evaluation.figures import cosine_figure, method_styles, recall_figure

    styles = method_styles(report.results, list(report.cosines))
    source = resources.files("vpr_aesvc.evaluation").joinpath("report.html").read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(source).render(
        report=report,
        table=_table(report.results),
        recall_svg=recall_figure(report.results, styles) if report.results else "",
        cosine_svg=cosine_figure(report.cosines, styles) if any(c.size for c in report.cosines.values()) else "",
        cards=[_card(prediction) for prediction in report.predictions],
        right=sum(prediction.right for prediction in report.predictions),
    )


def _table(results: Sequence[MethodResult]) -> _Table:
    sizes = sorted({result.size for result in results})
    found = {(result.method, result.size): result for result in results}
    methods = list(dict.fromkeys(result.method for result in results))
    columns: list[tuple[int, int | None]] = []
    cells: dict[str, list[_Cell]] = {method: [] for method in methods}
    for size in sizes:
        here = {method: found[method, size] for method in methods if (method, size) in found}
        agreed = {result.bytes_per_place for result in here.values()}
        columns.append((size, agreed.pop() if len(agreed) == 1 else None))
        for k in _KS:
            texts = {method: _number(result.recall.get(k)) for method, result in here.items()}
            # Compared as printed, so that equal numbers on the page are bold together. "0.123" sorts as 0.123 does.
            best = max((text for text in texts.values() if text), default="") if len(texts) > 1 else ""
            for method in methods:
                text = texts.get(method, "")
                said = method in here and columns[-1][1] is None and k == _KS[0]
                stored = here[method].bytes_per_place if said else None
                cells[method].append(_Cell(text, best=bool(text) and text == best, bytes=stored))
    return _Table(_KS, columns, list(cells.items()))


def _number(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.3f}"


def _card(prediction: Prediction) -> dict[str, object]:
    def picture(image: NDArray[np.uint8]) -> dict[str, object]:
        small = thumbnail(as_rgb(image), _LONGEST)
        return {
            "source": "data:image/jpeg;base64," + base64.b64encode(encode_jpeg(small, 80)).decode(),
            "height": small.shape[0],
            "width": small.shape[1],
        }

    return {"said": prediction, "query": picture(prediction.query), "match": picture(prediction.match)}
