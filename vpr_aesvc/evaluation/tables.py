"""The tables of a report: numbers as text, the best of each column marked. What was not measured is empty."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from vpr_aesvc.evaluation.results import MAP4, R1, R5, GroupResult, Measure, MethodResult, Report


@dataclass(frozen=True)
class Cell:
    """A number as text. ``small`` is shown below it."""

    text: str = ""
    best: bool = False  # the highest of its column, which has others
    small: str = ""


@dataclass(frozen=True)
class Column:
    """One column. Neighbors of the same ``group`` share a heading with ``group_note`` below it."""

    name: str
    cells: list[Cell]
    group: str = ""
    group_note: str = ""


@dataclass(frozen=True)
class Table:
    """A table with a name for each row. ``notes`` are paragraphs that say how to read it."""

    title: str
    notes: list[str]
    corner: str  # heading of the row names
    rows: list[str]
    columns: list[Column]

    @property
    def groups(self) -> list[list[Column]]:
        """The columns by their shared heading."""
        return [list(columns) for _, columns in groupby(self.columns, lambda column: column.group)]


def report_tables(report: Report) -> list[Table]:
    """The tables that the report has data for."""
    by_encoder: dict[str, list[MethodResult]] = {}
    for one in report.results:
        by_encoder.setdefault(one.encoder, []).append(one)
    titles = {name: f"Results of {name}" if len(by_encoder) > 1 else "Results" for name in by_encoder}
    tables = [_results_table(results, titles[name]) for name, results in by_encoder.items()]
    tables[1:] = [replace(table, notes=[]) for table in tables[1:]]  # as of the first
    return [*tables, *([_groups_table(report.groups)] if report.groups else [])]


def _results_table(results: Sequence[MethodResult], title: str) -> Table:
    """Methods by sizes: recall at 1 and 5, and mAP at 4 where any method has it."""
    methods, sizes, by_key = _by_method_and_size(results)
    measures = [R1, R5, *([MAP4] if any(map(MAP4.value, results)) else [])]
    columns = []
    for size in sizes:
        of_size = [by_key.get((method, size)) for method in methods]
        for measure in measures:
            cells = [_accuracy_cell(result, measure) for result in of_size]
            columns.append(Column(measure.name, _mark_best(cells), f"{size} numbers", _cost_note(of_size)))
    note = "R@1 is the fraction of the queries whose best match is right, R@5 the fraction with a right place among the first five. "
    if len(measures) > 2:
        note += "mAP@4 is higher the more of the first four matches are right, and the earlier they come. "
    if any(cell.small for column in columns for cell in column.cells):
        note += "The small range below a number is its 95\u00a0% bootstrap interval over the queries. "
    note += (
        "The size is the number of values of a descriptor: a smaller one takes less memory and less time to compare. The best of each size is bold "
        "and underlined; a dot means not measured at that size."
    )
    return Table(title, [note], "method", methods, columns)


def _accuracy_cell(result: MethodResult | None, measure: Measure) -> Cell:
    """The headline with its interval."""
    if result is None:
        return Cell()
    ends = measure.interval(result) if measure is R1 else None
    return Cell(number_text(measure.value(result)), small=f"{ends[0]:.2f}–{ends[1]:.2f}" if ends else "")


def _groups_table(results: Sequence[GroupResult]) -> Table:
    """Methods by groups of queries, each method at its largest size."""
    largest: dict[str, int] = {}
    for result in results:
        largest[result.method] = max(result.size, largest.get(result.method, 0))
    groups = [result for result in results if result.size == largest[result.method]]
    rows = list(dict.fromkeys((result.method, result.size) for result in groups))
    by_key = {(result.method, result.size, result.group): result for result in groups}
    ks = [k for k in (1, 5) if any(k in result.recall for result in groups)]
    columns = []
    for name in dict.fromkeys(result.group for result in groups):
        counts = {result.queries for result in groups if result.group == name}
        queries = f"{counts.pop()} queries" if len(counts) == 1 else ""
        for k in ks:
            of_group = [by_key.get((*row, name)) for row in rows]
            cells = [Cell(number_text(result.recall.get(k)) if result else "") for result in of_group]
            columns.append(Column(f"R@{k}", _mark_best(cells), name, queries))
    note = "Recall over a part of the queries, or under another protocol, each method at its largest size. The best of each column is bold."
    return Table("By group of queries", [note], "method", [f"{name}, {size} numbers" for name, size in rows], columns)


def _by_method_and_size(
    results: Sequence[MethodResult],
) -> tuple[list[str], list[int], dict[tuple[str, int], MethodResult]]:
    """Methods in the given order, sizes falling, and the results by both. The largest size, the only one of the raw embedding, comes first: it
    is visible without scrolling."""
    by_key = {(result.method, result.size): result for result in results}
    sizes = sorted({size for _, size in by_key}, reverse=True)
    return list(dict.fromkeys(result.method for result in results)), sizes, by_key


def _cost_note(results: Sequence[MethodResult | None]) -> str:
    """All methods of one size need the same number of bytes and the same time."""
    result = next(result for result in results if result)
    time = "" if result.search_ms is None else f", {result.search_ms:.2g} ms per search"
    return f"{result.bytes_per_place} bytes per place{time}"


def _mark_best(column: list[Cell]) -> list[Cell]:
    """Compares the printed text, so that numbers that look equal are marked together ("0.123" sorts like 0.123)."""
    texts = [cell.text for cell in column if cell.text]
    best = max(texts) if len(texts) > 1 else None
    return [replace(cell, best=cell.text == best) for cell in column]


def number_text(value: float | None) -> str:
    """Three decimals; empty for None and NaN."""
    return "" if value is None or not math.isfinite(value) else f"{value:.3f}"
