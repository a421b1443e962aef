"""The report of a benchmark: intervals, costs, groups, and every figure as a file."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from vpr_aesvc.errors import VprError
from vpr_aesvc.evaluation.report import render, save_figures
from vpr_aesvc.evaluation.results import GroupResult, MethodResult, PrecisionRecall, Report

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

_METHODS = ("PCA", "whitening", "VAE (paper)", "AE-SVC", "SSD (paper)", "(SS)2D rotation", "(SS)2D (paper)")
_SIZES = (16, 32, 64, 128, 256)
_FIGURES = (
    "recall_against_size",
    "map_against_size",
    "precision_recall",
    "recall_against_bytes",
)


def _curve(area: float) -> PrecisionRecall:
    recall = np.linspace(0, area, 900)
    return PrecisionRecall(1 - recall**4, recall, area, 0.2)


def _result(method: str, size: int, value: float) -> MethodResult:
    return MethodResult(
        method,
        size,
        {1: value, 5: value + 0.1},
        2 * size,
        {1: (value - 0.0211, value + 0.0232)},
        {4: value - 0.1},
        _curve(value),
        size / 300,
        12.5 + size if method == "SSD (paper)" else 321.0,
    )


def _report() -> Report:
    results = [replace(_result("raw", 768, 0.602), seconds=None)]
    for at, method in enumerate(_METHODS):
        results += [_result(method, size, 0.4 + 0.06 * step + 0.013 * at) for step, size in enumerate(_SIZES)]

    return Report(
        title="A set",
        summary=["Raw is better here."],
        results=results,
        predictions=[],
        notes=[("seed", "0")],
        groups=[
            GroupResult("raw", 768, "day", 105, {1: 0.8, 5: 0.9}),
            GroupResult("raw", 768, "night", 104, {1: 0.31, 5: 0.5}),
            GroupResult("AE-SVC", 128, "night", 104, {1: 0.234, 5: 0.4}),
            GroupResult("AE-SVC", 256, "night", 104, {1: 0.456, 5: 0.5}),
        ],
        shown=[one for one in results if one.size in (256, 768)],
    )


@pytest.fixture(scope="module")
def page() -> str:
    return render(_report())


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench") / "made" / "figures"
    save_figures(_report(), folder)
    return folder


def _texts(svg: Path) -> list[str]:
    return ["".join(element.itertext()) for element in ElementTree.parse(svg).iter("{http://www.w3.org/2000/svg}text")]


def _rows(page: str, title: str) -> dict[str, list[str]]:
    """The cells of the table under a heading, by the first cell of the row."""
    body = page.split(f"<h2>{title}</h2>")[1].split("<tbody>")[1].split("</tbody>")[0]
    rows = {}
    for row in body.split("<tr>")[1:]:
        cells = [re.sub(r"<[^>]*>", " ", cell).split() for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL)]
        rows[" ".join(cells[0])] = [" ".join(cell) for cell in cells[1:]]
    return rows


def test_figures_are_files(figures: Path) -> None:
    assert sorted(file.name for file in figures.iterdir()) == sorted(
        f"{name}.{suffix}" for name in _FIGURES for suffix in ("png", "svg")
    )
    for file in figures.glob("*.png"):
        image = cv2.imread(str(file))
        assert image.shape[1] == 1320  # 4.4 inches of 300 dots
        assert (image[:3] == 255).all() and image.min() < 20  # white to the edge, ink black
    for file in figures.glob("*.svg"):
        text = file.read_text("utf-8")
        assert "fill: #ffffff" in text and "currentColor" not in text and "#010203" not in text
        assert not re.search(r'(?:href|src)="(?!#)', text)


def test_axes_and_methods_are_named(figures: Path) -> None:
    said = {name: _texts(figures / f"{name}.svg") for name in _FIGURES}
    axes = {
        "recall_against_size": ("descriptor size [numbers]", "recall at 1 [0 to 1]"),
        "map_against_size": ("descriptor size [numbers]", "mAP at 4 [0 to 1]"),
        "recall_against_bytes": ("bytes a place", "recall at 1 [0 to 1]", "Pareto front"),
        "precision_recall": ("recall [0 to 1]", "precision [0 to 1]", "raw (768): 0.602"),
    }
    for name, labels in axes.items():
        assert set(labels) <= set(said[name]), name
    for method in _METHODS:
        assert method in said["recall_against_size"]
        assert any(text.startswith(f"{method} (256): ") for text in said["precision_recall"])
    assert "raw (768 numbers)" in said["recall_against_size"]


def test_page_has_every_figure_and_refers_to_nothing_else(page: str) -> None:
    assert page.count("<svg") == len(_FIGURES)
    assert "<script" not in page and "<link" not in page and "@import" not in page
    assert not re.search(r'(?:src|href)="(?!#|data:)', page)
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(ids) == len(set(ids))  # else one figure would be clipped by another's frame


def test_results_with_intervals(page: str) -> None:
    rows = _rows(page, "Results")
    assert len(rows) == 8
    assert rows["PCA"][-3:] == ["0.400 0.38–0.42", "0.500", "0.300"]
    assert rows["raw"] == ["0.602 0.58–0.63", "0.702", "0.502"] + ["·"] * 15


def test_costs(page: str) -> None:
    assert "1536 bytes per place, 2.6 ms per search" in page and "32 bytes per place, 0.053 ms per search" in page


def test_groups(page: str) -> None:
    groups = _rows(page, "By group of queries")
    assert groups == {
        "raw, 768 numbers": ["0.800", "0.900", "0.310", "0.500"],
        "AE-SVC, 256 numbers": ["·", "·", "0.456", "0.500"],
    }
    assert "105 queries" in page and "<strong>0.456</strong>" in page


def test_same_report_same_bytes(page: str, figures: Path, tmp_path: Path) -> None:
    assert render(_report()) == page
    for path in save_figures(_report(), tmp_path):
        assert path.read_bytes() == (figures / path.name).read_bytes()


_NAN = float("nan")
_BARE = MethodResult("PCA", 64, {1: 0.5}, 128)


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([], set()),
        ([_BARE], {"recall_against_size"}),
        ([replace(_BARE, recall={1: _NAN, 5: _NAN}, search_ms=1.0)], set()),
        ([replace(_BARE, recall={}, map_at={4: 0.5})], {"map_against_size"}),
        ([replace(_BARE, interval={1: (_NAN, _NAN)})], {"recall_against_size"}),
        ([replace(_BARE, curve=_curve(0.5))], {"recall_against_size", "precision_recall"}),
        ([replace(_BARE, curve=PrecisionRecall(np.zeros(0), np.zeros(0), _NAN, _NAN))], {"recall_against_size"}),
        ([_BARE, replace(_BARE, size=128, recall={1: _NAN})], {"recall_against_size"}),
    ],
)
def test_missing_data_is_not_shown(tmp_path: Path, results: list[MethodResult], expected: set[str]) -> None:
    report = Report("T", [], results, [], [], shown=results)
    paths = save_figures(report, tmp_path)
    assert {path.stem for path in paths} == expected
    page = render(report)
    assert page.count("<svg") == len(expected)
    assert "nan" not in re.sub(r"data:[^\"]*", "", page).lower().replace("font-variant-numeric", "")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(VprError, match=re.escape(str(tmp_path / "file"))):
        save_figures(_report(), tmp_path / "file")
