"""A finished benchmark run -> a folder with ``results.json``, ``results.csv``, the figures and the report page."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vpr_aesvc.evaluation.bench import BenchmarkRun
from vpr_aesvc.evaluation.benchmark_report import benchmark_report
from vpr_aesvc.evaluation.report import save_figures, write_report
from vpr_aesvc.evaluation.results import GroupResult, MethodResult, Report, to_json
from vpr_aesvc.files import new_folder, write_file
from vpr_aesvc.text import csv_text


def write_benchmark(runs: Sequence[BenchmarkRun], dataset: str, folder: Path) -> Report:
    """Writes the whole folder, or nothing.

    Args:
        runs: of one or more encoders over the set.
        dataset: the set's name in ``results.json``.

    Returns:
        what the page shows.

    Raises:
        VprError: the folder exists or cannot be written, or a library for the figures is missing.
    """
    report = benchmark_report(runs)
    content = json.dumps(benchmark_json(runs, dataset, report), indent=1) + "\n"
    with new_folder(folder, "results") as partial:
        write_file(partial / "results.json", content.encode(), "results")
        write_file(partial / "results.csv", _as_csv(report.results).encode(), "results")
        save_figures(report, partial / "figures")
        write_report(report, partial / "report.html")
    return report


def benchmark_json(runs: Sequence[BenchmarkRun], dataset: str, report: Report) -> dict[str, Any]:
    """Every score with its protocol; of several encoders, the protocol by encoder."""
    use = report.use
    content = {
        "dataset": dataset,
        "title": runs[0].title,
        "protocol": runs[0].protocol if len(runs) == 1 else {run.task.encoder: run.protocol for run in runs},
        "use": None if use is None else {"encoder": use.encoder, "method": use.method, "size": use.size},
        "results": [_method_json(one, run.evaluation.groups) for run in runs for one in run.evaluation.results],
    }
    return dict(to_json(content))


def _method_json(one: MethodResult, groups: list[GroupResult]) -> dict[str, Any]:
    return {
        "encoder": one.encoder,
        "method": one.method,
        "size": one.size,
        "recall": one.recall,
        "recall_interval_95": one.interval,
        **{f"map_at_{k}": value for k, value in one.map_at.items()},
        **_common_columns(one),
        "groups": [
            {"group": group.group, "queries": group.queries, "recall": group.recall}
            for group in groups
            if (group.method, group.size) == (one.method, one.size)
        ],
    }


def _common_columns(one: MethodResult) -> dict[str, float | None]:
    """The values that both files hold under the same names."""
    return {
        "precision_recall_area": one.curve.area if one.curve else None,
        "recall_at_full_precision": one.curve.recall_at_full_precision if one.curve else None,
        "bytes_per_place": one.bytes_per_place,
        "search_ms": one.search_ms,
        "describe_ms": one.describe_ms,
        "seconds": one.seconds,
    }


def _as_csv(results: list[MethodResult]) -> str:
    ks = sorted({k for one in results for k in one.recall})
    map_ks = sorted({k for one in results for k in one.map_at})
    return csv_text(
        [
            {
                "encoder": one.encoder,
                "method": one.method,
                "size": one.size,
                **{f"recall_at_{k}": one.recall.get(k) for k in ks},
                **{f"map_at_{k}": one.map_at.get(k) for k in map_ks},
                **_common_columns(one),
            }
            for one in results
        ]
    )
