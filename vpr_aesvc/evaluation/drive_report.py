"""A scored drive -> a folder: ``drive.json``, the figures and a report page."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vpr_aesvc.evaluation.drive import BOTH, Drive
from vpr_aesvc.evaluation.drive_measures import DriveMeasures, Elapsed, VariantMeasures
from vpr_aesvc.evaluation.report import cards_of, check_installed, render_page
from vpr_aesvc.evaluation.results import Prediction, to_json
from vpr_aesvc.evaluation.tables import Cell, Column, Table, number_text
from vpr_aesvc.files import new_folder, write_file

_FAILURES = 24  # shown


@dataclass(frozen=True)
class DriveReport:
    """``notes``: how the report was made, as names and values."""

    title: str
    drive: Drive
    measures: DriveMeasures
    notes: list[tuple[str, str]]


def write_drive(report: DriveReport, folder: Path) -> list[str]:
    """Writes ``report.html``, ``drive.json``, and ``trajectory``, ``precision_recall``, ``reliability`` and, with metric poses, ``pose_errors`` as
    PNG and SVG, or nothing.

    Returns:
        the findings, in sentences.

    Raises:
        VprError: the folder exists or cannot be written, or a library for the figures is missing.
    """
    check_installed()
    from vpr_aesvc.evaluation.figures.drive import pose_error_drawing, reliability_drawing, trajectory_drawing
    from vpr_aesvc.evaluation.figures.precision_recall import drive_curve_drawing

    drive, measures = report.drive, report.measures
    poses = measures.variants[BOTH].poses
    figures = [
        trajectory_drawing(drive, measures.threshold, measures.variants[BOTH].gap),
        drive_curve_drawing(measures),
        reliability_drawing(measures.variants[BOTH].reliability),
        None if poses is None else pose_error_drawing(poses),
    ]
    drawings = [drawing for drawing in figures if drawing is not None]
    opening, facts = _opening(report), drive_summary(report)
    table = _variants_table(measures)
    failures, more = _failures(drive, measures.threshold)
    values = {"summary": opening, "facts": facts, "table": table, "drawings": drawings, "more": more}
    page = render_page("drive.html", report=report, cards=cards_of(failures), **values)
    with new_folder(folder, "results") as partial:
        write_file(partial / "drive.json", (json.dumps(drive_json(report), indent=1) + "\n").encode(), "results")
        for drawing in drawings:
            drawing.save(partial)
        write_file(partial / "report.html", page.encode(), "report")
    return [*opening, *facts]


def _failures(drive: Drive, threshold: float) -> tuple[list[Prediction], int]:
    """Accepted matches that are wrong, then frames with a place that were not accepted, spread over the run; and how many others failed."""
    accepted, error = drive.column("accepted", BOTH), drive.column("error", BOTH)
    wrong, refused = accepted & (error > threshold), ~accepted & (drive.column("nearest") <= threshold)
    rows: list[int] = []
    for group in (wrong, refused):
        seen = [row for row in drive.pictures if group[row]]
        rows += [
            seen[at]
            for at in np.unique(np.linspace(0, len(seen) - 1, min(len(seen), _FAILURES - len(rows))).astype(int))
        ]
    predictions = []
    for row in rows:
        frame, one = drive.frames[row], drive.frames[row].answers[BOTH]
        distance = one.error if math.isfinite(one.error) else None
        pair = drive.pictures[row]
        predictions.append(
            Prediction(*pair, frame.frame, f"place {one.place}", None, False, distance, one.why, one.accepted)
        )
    return predictions, int((wrong | refused).sum()) - len(rows)


def drive_summary(report: DriveReport) -> list[str]:
    """The findings with sequence and geometry, which is what a robot runs."""
    drive, measures, threshold = report.drive, report.measures, report.measures.threshold
    both, recognizable = measures.variants[BOTH], measures.recognizable[threshold]
    place = "an earlier place that is not recent" if drive.loops else "a place of the map"
    sentences = [
        f"{len(drive)} frames over {drive.frames[-1].driven:.0f} m; {recognizable} of them lie within {threshold:g} m of {place}."
    ]
    if both.poses is not None:
        numbers = both.poses.summary()
        sentences.append(
            f"{numbers['metric_poses']} accepted matches have a metric pose. It is {numbers['meters_median']:.3f} m and {numbers['degrees_median']:.2f} "
            f"degrees off (median; 90 %: {numbers['meters_90']:.3f} m, {numbers['degrees_90']:.2f} degrees); their places are "
            f"{numbers['place_meters_median']:.2f} m off (90 %: {numbers['place_meters_90']:.2f} m)."
        )
    if not recognizable:
        return [*sentences, "No frame can be recognized, so there is no recall."]
    sentences.append(
        f"With sequence and geometry, the best match of {100 * both.recall[threshold]:.1f} % of these lies within {threshold:g} m; for "
        f"{100 * both.accepted_recall[threshold]:.1f} % it is also accepted."
    )
    if unjudged := both.unjudged:
        sentences.append(
            f"{unjudged} accepted matches are with places that have no pose; they cannot be judged and are not counted."
        )
    if both.first_fix is None:
        return [*sentences, f"No {'other ' if unjudged else ''}match was accepted."]
    wrong = both.accepted - round(both.accepted * both.precision[threshold])
    return [
        *sentences,
        f"{both.accepted} matches are accepted, {wrong} of them wrong.",
        f"The first match is accepted {elapsed_text(both.first_fix)} after the first recognizable frame, and is "
        f"{'right' if both.first_fix.right else 'wrong'}.",
    ]


def _opening(report: DriveReport) -> list[str]:
    """How well a robot would know where it is: how many frames of 100, how soon, and where not."""
    drive, both, threshold = report.drive, report.measures.variants[BOTH], report.measures.threshold
    accepted, right = drive.column("accepted", BOTH), drive.column("error", BOTH) <= threshold
    placed, wrong = (round(100 * float(part.mean()), 1) for part in (accepted & right, accepted & ~right))
    sentences = [
        f"Out of 100 frames {placed:g} are placed right (within {threshold:g} m), {wrong:g} are placed wrong, and {round(100 - placed - wrong, 1):g} are not placed."
    ]
    if not placed:
        return sentences
    wait, (first, last) = both.wait, both.gap
    soon = f"comes within {elapsed_text(wait)}" if math.isfinite(wait.meters) else "does not always come"
    sentences.append(f"Started where the map has a place, in 9 of 10 cases a right match {soon}.")
    if first == last:
        return sentences
    ends = [
        f"{drive.frames[at].frame} at ({drive.frames[at].position[0]:.1f}, {drive.frames[at].position[1]:.1f}) m"
        for at in both.gap
    ]
    return [
        *sentences,
        f"It fails longest from {ends[0]} to {ends[1]}: no right match for {elapsed_text(both.without_fix)}.",
    ]


def table_header(measures: DriveMeasures) -> list[str]:
    """Headings of the columns; the first is the variant."""
    return [
        "variant",
        *(f"R {distance:g} m" for distance in measures.recognizable),
        "acc.",
        f"right {measures.threshold:g} m",
        f"acc. R {measures.threshold:g} m",
        "first fix",
        "no fix for",
    ]


def table_rows(measures: DriveMeasures) -> list[list[str]]:
    """One row per variant, as text; a score without any frame is empty."""
    return [[name, *_row(one, measures.threshold)] for name, one in measures.variants.items()]


def _row(one: VariantMeasures, threshold: float) -> list[str]:
    fix = one.first_fix
    return [
        *(number_text(value) for value in one.recall.values()),
        str(one.accepted),
        number_text(one.precision[threshold]),
        number_text(one.accepted_recall[threshold]),
        "" if fix is None else elapsed_text(fix) + ("" if fix.right else ", wrong"),
        elapsed_text(one.without_fix),
    ]


def _variants_table(measures: DriveMeasures) -> Table:
    corner, *names = table_header(measures)
    variants, *columns = zip(*table_rows(measures), strict=True)
    return Table(
        "What each part of recognition adds",
        [],
        corner,
        list(variants),
        [Column(name, [Cell(text) for text in texts]) for name, texts in zip(names, columns, strict=True)],
    )


def elapsed_text(elapsed: Elapsed) -> str:
    """Such as ``2.5 s, 3.0 m``; without stamps ``3.0 m``."""
    meters = f"{elapsed.meters:.1f} m"
    return meters if math.isnan(elapsed.seconds) else f"{elapsed.seconds:.1f} s, {meters}"


def drive_json(report: DriveReport) -> dict[str, Any]:
    """Every score and every frame."""
    measures = report.measures
    content = {
        "title": report.title,
        "made": dict(report.notes),
        "loops": report.drive.loops,
        "right_within": measures.threshold,
        "frames_with_a_place_within": measures.recognizable,
        "forms": {name: _variant_json(one) for name, one in measures.variants.items()},
        "frames": report.drive.frames,
    }
    return dict(to_json(content))


def _variant_json(one: VariantMeasures) -> dict[str, Any]:
    content = dict(vars(one))
    curve, poses, reliability = (content.pop(name) for name in ("curve", "poses", "reliability"))
    content["pose_errors"] = None if poses is None else poses.summary()
    return {
        **content,
        "average_precision": None if curve is None else curve.area,
        "calibration_error": reliability.error,
    }
