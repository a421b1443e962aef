"""A finished run -> a folder: ``results.json``, ``results.csv``, the figures, and one page that shows it all."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.evaluation.bench import Run
from vpr_aesvc.evaluation.gallery import gallery
from vpr_aesvc.evaluation.methods import Describe
from vpr_aesvc.evaluation.published import published_beside
from vpr_aesvc.evaluation.recognition_table import recognition_json
from vpr_aesvc.evaluation.recognition_words import sentences as recognition_sentences
from vpr_aesvc.evaluation.report import save_figures, write_report
from vpr_aesvc.evaluation.report_contents import Report
from vpr_aesvc.evaluation.results import MethodResult
from vpr_aesvc.evaluation.summary import summary
from vpr_aesvc.files import new_folder, write_file
from vpr_aesvc.projections.aesvc import cosine_sample
from vpr_aesvc.projections.artifact import unit
from vpr_aesvc.projections.data import even

_SAMPLED = 1000  # images whose pairs are shown in the histograms of cosines


def write_run(run: Run, dataset: str, folder: Path) -> list[str]:
    """Writes the folder whole or not at all.

    Args:
        dataset: the set's name in ``results.json``.

    Returns:
        what was found, in sentences.

    Raises:
        VprError: the folder exists, the disk refuses, or a library for the figures is missing.
    """
    report = report_of(run, dataset)
    with new_folder(folder, "results") as partial:
        write_file(partial / "results.json", (json.dumps(as_json(run, dataset), indent=1) + "\n").encode(), "results")
        write_file(partial / "results.csv", _as_csv(run.findings.results).encode(), "results")
        save_figures(report, partial / "figures")
        write_report(report, partial / "report.html")
    return report.summary


def as_json(run: Run, dataset: str) -> dict[str, Any]:
    """Every number with its protocol; one that is not a number is null."""
    results = []
    for one in run.findings.results:
        row: dict[str, Any] = {
            "method": one.method,
            "size": one.size,
            "recall": {str(k): _number(value) for k, value in one.recall.items()},
            "recall_interval_95": {str(k): [_number(v) for v in pair] for k, pair in one.interval.items()},
            **{f"map_at_{k}": _number(value) for k, value in one.map_at.items()},
            **_single(one),
        }
        row["groups"] = [
            {"group": g.group, "queries": g.queries, "recall": {str(k): _number(v) for k, v in g.recall.items()}}
            for g in run.findings.groups
            if (g.method, g.size) == (one.method, one.size)
        ]
        results.append(row)
    found = {"dataset": dataset, "title": run.title, "protocol": run.protocol, "results": results}
    return found if run.recognition is None else {**found, "recognition": recognition_json(run.recognition)}


def _single(one: MethodResult) -> dict[str, float | None]:
    """What a method has one of at each size, by the names that both files use."""
    return {
        "precision_recall_area": one.curve.area if one.curve else None,
        "recall_at_full_precision": one.curve.recall_at_full_precision if one.curve else None,
        "bytes_per_place": one.bytes_per_place,
        "multiply_adds_per_query": one.multiply_adds,
        "search_ms": one.search_ms,
        "seconds": one.seconds,
    }


def report_of(run: Run, dataset: str) -> Report:
    """What the page shows of a run."""
    results = run.findings.results
    metric: Literal["R@1", "mAP@4"] = "mAP@4" if run.protocol["positives"].endswith("category") else "R@1"
    by_key = {method.key: method for method in run.methods}
    names = [by_key[key].name for key in ("ss2d", "ssd") if key in by_key]
    shown = max(results, key=lambda one: (_number(one.recall.get(1)) or 0.0, -one.size))
    sentences = summary(run, metric)
    predictions = gallery(run.queries, run.database, run.findings.best[shown.method, shown.size], run.task.right)
    if run.recognition is not None:
        sentences += recognition_sentences(run.recognition)
    if predictions:
        sentences.append(f"The predictions below are those of {shown.method} with {shown.size} numbers.")
    return Report(
        title=f"{run.title}: place recognition by descriptor size",
        summary=sentences,
        results=results,
        predictions=predictions,
        cosines=_cosines(run),
        notes=_notes(run.protocol) + (_notes(run.recognition.protocol, "recognition: ") if run.recognition else []),
        groups=run.findings.groups,
        published=published_beside(dataset, run.protocol, results),
        upper_bound=(names[0], names[1]) if len(names) == 2 else None,
        metric=metric,
        pairs=_pairs(run),
        recognition=run.recognition,
    )


def _shown_distributions(run: Run) -> dict[str, Describe]:
    """Before and after AE-SVC, where it was fitted: what describes embeddings."""
    latent = {one.name: one.by_size[max(one.by_size)] for one in run.methods if one.key == "aesvc"}
    return {"raw": unit, **latent}


def _cosines(run: Run) -> dict[str, NDArray[np.float32]]:
    """Of all pairs among some database images."""
    rows = np.asarray(even(run.task.database, _SAMPLED), np.float32)
    return {name: cosine_sample(describe(rows)) for name, describe in _shown_distributions(run).items()}


def _pairs(run: Run) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Of queries with one right place each, and with one wrong place each, drawn evenly."""
    random, right = np.random.default_rng(0), run.task.right
    known = np.flatnonzero(right.counts > 0)
    asked = known[np.linspace(0, len(known) - 1, min(_SAMPLED, len(known))).astype(np.int64)]
    places = np.array([random.choice(right[query]) for query in asked])
    others = random.integers(0, len(run.task.database), len(asked))
    wrong = ~np.array([other in right[query] for query, other in zip(asked, others, strict=True)])
    found = {}
    for name, describe in _shown_distributions(run).items():
        here, there, elsewhere = (
            describe(np.asarray(rows, np.float32))
            for rows in (run.task.queries[asked], run.task.database[places], run.task.database[others])
        )
        found[name] = (here * there).sum(1), (here * elsewhere).sum(1)[wrong]
    return found


def _notes(protocol: dict[str, Any], about: str = "") -> list[tuple[str, str]]:
    def said(value: Any) -> str:
        if isinstance(value, dict):
            return "; ".join(f"{name}: {one}" for name, one in value.items() if one != "")
        if isinstance(value, list):
            return f"{len(value)}" + (f", such as {value[0]}" if value else "")
        return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)

    return [(about + name.replace("_", " "), said(value)) for name, value in protocol.items()]


def _as_csv(results: list[MethodResult]) -> str:
    ks = sorted({k for one in results for k in one.recall})
    maps = sorted({k for one in results for k in one.map_at})
    rows = [
        {
            "method": one.method,
            "size": one.size,
            **{f"recall_at_{k}": one.recall.get(k) for k in ks},
            **{f"map_at_{k}": one.map_at.get(k) for k in maps},
            **_single(one),
        }
        for one in results
    ]
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def _number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else float(value)
