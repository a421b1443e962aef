"""The tables of a report: numbers as text, the best of each column marked. What was not measured is left out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from vpr_aesvc.evaluation.measures import headline_first
from vpr_aesvc.evaluation.results import GroupResult, MethodResult, Published


@dataclass(frozen=True)
class Cell:
    """A number as text; ``best`` when no other in this column is better and there are others."""

    text: str = ""
    best: bool = False
    small: tuple[str, ...] = ()  # said below the number
    hint: str = ""  # said when it is pointed at


@dataclass(frozen=True)
class Head:
    """Columns that belong together, and what they have in common."""

    title: str
    columns: tuple[str, ...]
    small: str = ""
    words: bool = False  # not numbers: set from the left, and may break


@dataclass(frozen=True)
class Row:
    name: str
    cells: list[list[Cell]]  # one list for each head
    small: str = ""


@dataclass(frozen=True)
class Table:
    title: str
    reading: str  # how to read it, a paragraph a line
    corner: str  # what the rows are
    heads: list[Head]
    rows: list[Row]
    folded: bool = False  # opened by whoever wants it


def results_table(results: Sequence[MethodResult], headline: str) -> Table | None:
    """Methods by sizes: recall at 1 and 5, and mAP at 4 where any method has it. None without results."""
    if not results:
        return None
    methods, sizes, found = _by_method_and_size(results)
    kept = [measure for measure in headline_first(headline) if not measure.mean or any(map(measure.of, results))]
    heads, columns = [], []
    for size in sizes:
        here = [found.get((method, size)) for method in methods]
        agreed = _agreed_bytes(here)
        heads.append(Head(f"{size} numbers", tuple(measure.name for measure in kept), agreed))
        for measure in kept:
            cells = []
            for result in here:
                cell = Cell(_number(measure.of(result)) if result else "")
                if result and not agreed and measure is kept[0]:
                    cell = replace(cell, small=(f"{result.bytes_per_place} bytes",))
                if result and cell.text and (ends := measure.interval(result)):
                    shown = (f"{ends[0]:.2f}–{ends[1]:.2f}",) if measure.name == headline else ()
                    hint = f"95 % interval {ends[0]:.3f} to {ends[1]:.3f}"
                    cell = replace(cell, small=shown + cell.small, hint=hint)
                cells.append(cell)
            columns.append(_marked(cells))
    reading = (
        "R@1 is the part of the queries whose best match is a right place, R@5 the part with a right place among the "
        "first five. "
    )
    if len(kept) > 2:
        reading += "mAP@4 asks more: that the first four be right, the foremost above all. "
    if any(cell.hint for column in columns for cell in column):
        reading += "The small range below a number is its 95\u00a0% bootstrap interval over the queries. "
    reading += (
        "The size is how many numbers describe a place: fewer take less memory and are compared faster. The best of "
        "each size is bold and underlined; a dot means that the method was not measured at that size."
    )
    return Table("Results", reading, "method", heads, _rows(methods, heads, columns))


def cost_table(results: Sequence[MethodResult]) -> Table | None:
    """Methods by sizes: multiply-adds and search time of a query, and the time to fit. None where none is known."""
    methods, sizes, found = _by_method_and_size(results)
    measures: dict[str, Callable[[MethodResult], float | None]] = {
        "M mult-adds": lambda result: result.multiply_adds / 1e6 if result.multiply_adds is not None else None,
        "ms": lambda result: result.search_ms,
    }
    kept = {name: of for name, of in measures.items() if any(of(result) is not None for result in results)}
    heads, columns = [], []
    for size in sizes if kept else ():
        here = [found.get((method, size)) for method in methods]
        agreed = _agreed_bytes(here)
        heads.append(Head(f"{size} numbers", tuple(kept), agreed))
        for at, of in enumerate(kept.values()):
            cells = [Cell(_quantity(of(result))) if result else Cell() for result in here]
            if at == 0 and not agreed:
                cells = [
                    replace(cell, small=(f"{result.bytes_per_place} bytes",)) if result else cell
                    for cell, result in zip(cells, here, strict=True)
                ]
            columns.append(cells)
    if any(result.seconds is not None for result in results):
        heads.append(Head("to fit", ("seconds",)))
        columns.append([Cell(_seconds([r.seconds for r in results if r.method == method])) for method in methods])
    if not heads:
        return None
    said = {
        "M mult-adds": "Millions of multiplications and additions for one query: projecting its embedding and comparing it "
        "with every place.",
        "ms": "The time is that of one query against all places, measured, the median.",
    }
    reading = " ".join(
        [*(said[name] for name in kept), "Less is better. Computing the embedding itself costs every method the same."]
    )
    return Table("Cost", reading, "method", heads, _rows(methods, heads, columns))


def groups_tables(groups: Sequence[GroupResult]) -> list[Table]:
    """Methods by groups of queries, or by protocols: each at its largest size, and, folded, at every size."""
    largest: dict[str, int] = {}
    for result in groups:
        largest[result.method] = max(result.size, largest.get(result.method, 0))
    shown = [result for result in groups if result.size == largest[result.method]]
    tables = [_groups_table(shown)] if shown else []
    if len(shown) < len(groups):
        title = "By group of queries, every size"
        tables.append(replace(_groups_table(groups), title=title, reading="", folded=True))
    return tables


def _groups_table(groups: Sequence[GroupResult]) -> Table:
    names = list(dict.fromkeys(result.group for result in groups))
    rows = list(dict.fromkeys((result.method, result.size) for result in groups))
    found = {(result.method, result.size, result.group): result for result in groups}
    ks = [k for k in (1, 5) if any(k in result.recall for result in groups)]
    heads, columns = [], []
    for name in names:
        counts = {result.queries for result in groups if result.group == name}
        queries = f"{counts.pop()} queries" if len(counts) == 1 else ""
        heads.append(Head(name, tuple(f"R@{k}" for k in ks), queries))
        for k in ks:
            here = [found.get((*row, name)) for row in rows]
            columns.append(_marked([Cell(_number(result.recall.get(k)) if result else "") for result in here]))
    made = _rows([method for method, _ in rows], heads, columns)
    made = [replace(row, small=f"{size} numbers") for row, (_, size) in zip(made, rows, strict=True)]
    reading = "The same measurement over a part of the queries, or under another protocol, each method at its largest size. The best of each column is bold."
    return Table("By group of queries", reading, "method", heads, made)


def published_table(published: Sequence[Published]) -> Table | None:
    """The authors' figures beside ours. None without any."""
    if not published:
        return None
    rows = []
    for line in published:
        difference = line.ours - line.theirs
        signed = f"{difference:+.3f}".replace("-", "−") if math.isfinite(difference) else ""
        numbers = [Cell(_number(line.theirs)), Cell(_number(line.ours)), Cell(signed)]
        rows.append(Row(line.what, [numbers, [Cell(line.source)]]))
    reading = (
        "What the authors publish, and what was measured here for the same thing. The difference is ours minus theirs."
    )
    heads = [Head("", ("theirs", "ours", "difference")), Head("", ("source",), words=True)]
    return Table("Beside the published figures", reading, "what", heads, rows)


def _by_method_and_size(
    results: Sequence[MethodResult],
) -> tuple[list[str], list[int], dict[tuple[str, int], MethodResult]]:
    """Methods in the order given, sizes falling, and the result of each pair that has one. The largest size comes first
    because it is the one that the raw embedding has: what the others are held against is seen without scrolling."""
    found = {(result.method, result.size): result for result in results}
    sizes = sorted({size for _, size in found}, reverse=True)
    return list(dict.fromkeys(result.method for result in results)), sizes, found


def _agreed_bytes(results: Sequence[MethodResult | None]) -> str:
    """The bytes a place where all methods of a size agree; else each cell says its own."""
    stored = {result.bytes_per_place for result in results if result}
    return f"{stored.pop()} bytes a place" if len(stored) == 1 else ""


def _marked(column: list[Cell]) -> list[Cell]:
    """Compared as printed, so that equal numbers on the page are bold together. "0.123" sorts as 0.123 does."""
    texts = [cell.text for cell in column if cell.text]
    best = max(texts) if len(texts) > 1 else None
    return [replace(cell, best=cell.text == best) for cell in column]


def _rows(names: Sequence[str], heads: Sequence[Head], columns: Sequence[Sequence[Cell]]) -> list[Row]:
    """Columns of cells, in the order of the heads, turned into rows."""
    rows = []
    for at, name in enumerate(names):
        line = iter([column[at] for column in columns])
        rows.append(Row(name, [[next(line) for _ in head.columns] for head in heads]))
    return rows


def _number(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else f"{value:.3f}"


def _quantity(value: float | None) -> str:
    """Three digits or more, and no exponent."""
    if value is None or not math.isfinite(value):
        return ""
    return f"{value:,.0f}" if value >= 99.95 else f"{value:#.3g}"


def _seconds(values: Sequence[float | None]) -> str:
    """One number where one fit serves all sizes; the range where each size has its own."""
    known = sorted({_quantity(value): value for value in values if value is not None}.items(), key=lambda item: item[1])
    if not known:
        return ""
    return known[0][0] if len(known) == 1 else f"{known[0][0]} to {known[-1][0]} a size"
