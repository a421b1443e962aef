"""``vpr demo``: the whole product on a street it draws itself, offline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from vpr_aesvc.cli.console import err, out, progress_bars
from vpr_aesvc.cli.train import describe_model
from vpr_aesvc.datasets import FrameSet
from vpr_aesvc.describer import Describer
from vpr_aesvc.files import check_free, new_folder

_TOLERANCE = 5.0  # metres; the street is drawn every 1.75 m, so the field's 25 m would be too easy
_GALLERY = 24


def demo_command(
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to make.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Another seed draws another street.")] = 0,
) -> None:
    """Draw a street, drive it twice, train on the first drive, recognise the second; write a report.

    Nothing is downloaded. Takes a minute or two.
    """
    from vpr_aesvc.evaluation.report import check_installed

    check_free(output, "demo")
    check_installed()
    with new_folder(output, "demo") as folder, progress_bars() as progress:
        model, table, summary = _run(folder, seed, progress)
    describe_model(model.manifest)
    out.print(table)
    for sentence in summary:
        out.print(sentence)
    out.print(f"\n[bold]look at {output / 'report.html'}[/] in a browser; the images are in {output / 'route'}")
    err.print(
        f"try: vpr query {output / 'place.vprmap'} {output / 'route'} -m {output / 'model'} --top 3", markup=False
    )


def _run(folder: Path, seed: int, progress: Callable[[str, int, int], None]) -> tuple[Describer, Table, list[str]]:
    from vpr_aesvc.backbones import open_backbone
    from vpr_aesvc.datasets import open_input
    from vpr_aesvc.datasets.positives import Tolerance, positives
    from vpr_aesvc.datasets.synthetic import draw_route
    from vpr_aesvc.evaluation.compare import evaluate, fit_methods
    from vpr_aesvc.evaluation.report import Report, write_report
    from vpr_aesvc.extraction import extract
    from vpr_aesvc.placemap import PlaceMap
    from vpr_aesvc.placemap.build import build_map
    from vpr_aesvc.projections.aesvc import cosine_sample
    from vpr_aesvc.projections.data import TrainingData
    from vpr_aesvc.training import VIEWS, train

    route = draw_route(folder / "route", seed=seed, progress=lambda done, of: progress("drawing the street", done, of))
    inputs = open_input(route)
    database, queries = inputs.split("database"), inputs.split("query")
    backbone = open_backbone("hog")
    model = train(database.frames, backbone, folder / "model", seed=seed, progress=progress)
    build_map(
        database.frames,
        model,
        folder / "place.vprmap",
        progress=lambda done, of: progress("building the map", done, of),
    )

    seen = extract(backbone, database.frames, VIEWS, seed)
    asked = extract(backbone, queries.frames)
    data = TrainingData.of(seen.embeddings, seen.views, seen.view_rows)
    right = positives(asked.frames, seen.frames, Tolerance("metres", _TOLERANCE))
    assert right is not None  # the street has poses
    methods = fit_methods(data, seen.frames, model.projection, model.manifest.method, model.sizes, seed, progress)
    results = evaluate(methods, seen.embeddings, asked.embeddings, right, model.sizes)

    with PlaceMap.open(folder / "place.vprmap", model) as place_map:
        matches = [found[0] for found in place_map.search(model.projection(asked.embeddings), 1)]
    summary = [
        f"The map holds {len(seen.frames)} places of the morning's drive; {len(asked.frames)} images of the evening's drive were "
        f"looked up in it. A match within {_TOLERANCE:g} m is right.",
        *_findings(results),
    ]
    report = Report(
        title="Visual place recognition on a street drawn for this demo",
        summary=summary,
        results=results,
        predictions=_gallery(asked.frames, matches),
        cosines={"raw": cosine_sample(data.embeddings), "AE-SVC": cosine_sample(methods["AE-SVC"](data.embeddings))},
        notes=_notes(model, database, queries, seed),
    )
    write_report(report, folder / "report.html")
    return model, _table(results), summary


def _findings(results: list) -> list[str]:  # type: ignore[type-arg]
    """What the numbers say, also where they disappoint."""
    raw = next(result for result in results if result.method == "raw")
    best = max((result for result in results if result.method != "raw"), key=lambda result: result.recall[1])
    sentences = [
        f"The raw embedding finds {raw.recall[1]:.0%} at the first place, with {raw.bytes_per_place} bytes a place."
    ]
    if best.recall[1] > raw.recall[1]:
        sentences.append(f"{best.method} finds {best.recall[1]:.0%} with {best.bytes_per_place} bytes.")
    else:
        sentences.append("No projection finds more than that here.")
    small = [r for r in results if r.method != "raw" and r.recall[1] >= raw.recall[1]]
    if small:
        least = min(small, key=lambda result: result.bytes_per_place)
        sentences.append(
            f"{least.method} is as good as raw from {least.size} numbers: {least.bytes_per_place} bytes a place."
        )
    return sentences


def _gallery(frames: list, matches: list) -> list:  # type: ignore[type-arg]
    """Predictions for the report: an even choice along the drive, and every third of them a wrong one while there are any."""
    from vpr_aesvc.evaluation.report import Prediction
    from vpr_aesvc.images import read_image

    def distance(at: int) -> float:
        here, there = frames[at].pose, matches[at].place.pose
        return float(np.hypot(here.x - there.x, here.y - there.y))

    def spread(rows: list[int], count: int) -> list[int]:
        return [rows[round(i)] for i in np.linspace(0, len(rows) - 1, min(count, len(rows)))]

    wrong = [at for at in range(len(frames)) if distance(at) > _TOLERANCE]
    shown_wrong = spread(wrong, _GALLERY // 3)
    shown = spread(sorted(set(range(len(frames))) - set(wrong)), _GALLERY - len(shown_wrong)) + shown_wrong
    return [
        Prediction(
            query=read_image(frames[at].path),
            match=read_image(matches[at].place.path),
            query_label=frames[at].label,
            match_label=matches[at].place.label,
            similarity=matches[at].similarity,
            right=distance(at) <= _TOLERANCE,
            distance=distance(at),
        )
        for at in sorted(shown)
    ]


def _notes(model: Describer, database: FrameSet, queries: FrameSet, seed: int) -> list[tuple[str, str]]:
    info = model.manifest.training
    terms = [
        (f"AE-SVC, {name}", f"{before:.3g} before (PCA), {info.terms['after'][name]:.3g} after")
        for name, before in info.terms["before"].items()
        if "after" in info.terms
    ]
    return [
        ("backbone", model.manifest.backbone.spec),
        ("database, queries", f"{len(database)}, {len(queries)} images; projections are fitted on the database alone"),
        ("right", f"within {_TOLERANCE:g} m"),
        ("chosen projection", f"{model.manifest.method}: {info.why}"),
        ("held-out scores", ", ".join(f"{name} {score:.3f}" for name, score in info.held_out_scores.items())),
        *terms,
        ("variance of cosines", ", ".join(f"{value:.4g} {when}" for when, value in info.cosine_variance.items())),
        ("seed", str(seed)),
    ]


def _table(results: list) -> Table:  # type: ignore[type-arg]
    table = Table(
        "method", "size", "R@1", "R@5", "bytes a place", title="the evening's drive found in the morning's map"
    )
    last = ""
    for result in results:
        table.add_row(
            result.method if result.method != last else "",
            str(result.size),
            f"{result.recall[1]:.3f}",
            f"{result.recall[5]:.3f}",
            str(result.bytes_per_place),
        )
        last = result.method
    return table
