"""The report page: one file without references, which shows the given data."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from vpr_aesvc.errors import VprError
from vpr_aesvc.evaluation.report import write_report
from vpr_aesvc.evaluation.results import MethodResult, Prediction, Report

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")


class _Page(HTMLParser):
    """Elements as (tag, attributes), and the text between them."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.text.append(data.strip())

    def having(self, *classes: str) -> int:
        return sum(set(classes) <= set((attrs.get("class") or "").split()) for _, attrs in self.elements)

    def count(self, tag: str) -> int:
        return sum(found == tag for found, _ in self.elements)


def _prediction(right: bool, distance: float | None = 1.5, label: str = "a place") -> Prediction:
    rng = np.random.default_rng(int(right))
    query, match = rng.integers(0, 256, (2, 48, 64, 3), dtype=np.uint8)
    return Prediction(query, match, label, "another place", 0.8125, right, distance)


def _report() -> Report:
    recalls = {"PCA": (0.23, 0.28, 0.34), "AE-SVC": (0.29, 0.36, 0.48), "(SS)2D": (0.31, 0.40, 0.479)}
    results = [MethodResult("raw", 324, {1: 0.351, 5: 0.552}, 648)]
    for method, values in recalls.items():
        results += [
            MethodResult(method, n, {1: r, 5: r + 0.2}, 2 * n) for n, r in zip((16, 32, 192), values, strict=True)
        ]
    return Report(
        title="A street & its <houses>",
        summary=["First sentence.", "Second sentence."],
        results=results,
        predictions=[_prediction(True), _prediction(False, 31.4), _prediction(True, None)],
        notes=[("seed", "7"), ("chosen projection", "rotation")],
    )


@pytest.fixture(scope="module")
def page_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(_report(), path)
    return path


def test_stands_alone(page_path: Path) -> None:
    page = _Page(page_path)
    assert [file.name for file in page_path.parent.iterdir()] == ["report.html"]
    assert page.count("script") == page.count("link") == page.count("iframe") == 0
    for _, attrs in page.elements:
        for name in ("src", "href", "xlink:href", "srcset"):
            assert re.match(r"data:image/jpeg;base64,|#", attrs.get(name) or "#")
    source = page_path.read_text("utf-8")
    assert "@import" not in source
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", source))
    assert "<metadata" not in source


def test_shows_what_it_was_given(page_path: Path) -> None:
    text = " ".join(_Page(page_path).text)
    for part in ("A street & its <houses>", "First sentence.", "0.351", "0.552", "0.479", "648 bytes per place"):
        assert part in text
    for part in ("descriptor size [numbers]", "recall at 1", "raw (324 numbers)"):
        assert part in text
    for part in ("31.4 m", "distance unknown", "0.812", "2 of these 3", "seed", "rotation"):
        assert part in text


def test_best_of_each_size_is_bold(page_path: Path) -> None:
    bold = re.findall(r"<td[^>]*><strong>([^<]*)", page_path.read_text("utf-8"))
    assert sorted(bold) == ["0.310", "0.400", "0.480", "0.510", "0.600", "0.680"]  # raw has no rival at its size


def test_a_card_for_each_prediction(page_path: Path) -> None:
    page = _Page(page_path)
    assert (page.having("card", "right"), page.having("card", "wrong")) == (2, 1)
    assert sum("✓ right" in text for text in page.text) == 2
    assert sum("✗ wrong" in text for text in page.text) == 1
    assert page.count("img") == 6


def test_texts_are_escaped(tmp_path: Path) -> None:
    evil = '"><script>alert(1)</script>'
    report = _report()
    report = replace(
        report,
        title=evil,
        summary=[evil],
        results=[*report.results, MethodResult(evil + "$x$", 16, {1: 0.1, 5: 0.2}, 32)],
        predictions=[_prediction(True, label=evil)],
        notes=[(evil, evil)],
    )
    write_report(report, tmp_path / "report.html")
    page = _Page(tmp_path / "report.html")
    assert page.count("script") == 0
    assert any(attrs.get("alt") == f"query: {evil}" for tag, attrs in page.elements if tag == "img")
    assert any(evil + "$x$ (16 numbers)" in text for text in page.text)  # in the figure, not set as a formula


def test_same_report_same_bytes(page_path: Path, tmp_path: Path) -> None:
    write_report(_report(), tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == page_path.read_bytes()


@pytest.mark.parametrize("value", [0.5, 1.0, 0.0, float("nan")])
def test_one_method_of_one_size(tmp_path: Path, value: float) -> None:
    results = [MethodResult("PCA", 64, {1: value, 5: value}, 128)]
    report = replace(_report(), results=results, predictions=[])
    write_report(report, tmp_path / "report.html")
    page = _Page(tmp_path / "report.html")
    assert page.count("svg") == (0 if np.isnan(value) else 1)  # no axes with nothing in them
    assert page.having("card") == 0
    assert any("64 numbers" in text for text in page.text)


def test_nothing_but_a_title(tmp_path: Path) -> None:
    write_report(Report("Only a title", [], [], [], []), tmp_path / "report.html")
    page = _Page(tmp_path / "report.html")
    assert page.count("svg") == page.count("table") == 0


def test_replaces_a_file_and_leaves_no_part(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    report = replace(_report(), predictions=[], results=[])
    write_report(report, path)
    assert "A street" in path.read_text("utf-8")
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(VprError, match="cannot be written"):
        write_report(report, tmp_path / "missing" / "report.html")


@pytest.mark.parametrize("missing", ["matplotlib", "jinja2"])
def test_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(VprError, match=re.escape("pip install matplotlib")):
        write_report(_report(), tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []
