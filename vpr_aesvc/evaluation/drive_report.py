"""A measured drive -> a folder: ``drive.json``, the figures, and one page that shows it all."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vpr_aesvc.errors import VprError
from vpr_aesvc.evaluation.drive import BOTH, Drive
from vpr_aesvc.evaluation.drive_measures import DriveMeasures, FormMeasures, Stretch
from vpr_aesvc.files import new_folder, write_file


@dataclass(frozen=True)
class DriveReport:
    """``notes``: how it was made, by row; both text."""

    title: str
    drive: Drive
    measures: DriveMeasures
    notes: list[tuple[str, str]]


def check_installed() -> None:
    """Raises VprError unless a drive can be drawn here. Worth calling before a long run that ends in a report; nothing is imported."""
    if any(find_spec(name) is None for name in ("jinja2", "matplotlib", "sklearn")):
        raise VprError("a report of a drive needs matplotlib, jinja2 and scikit-learn: pip install 'vpr_aesvc[bench]'")


def write_drive(report: DriveReport, folder: Path) -> list[str]:
    """Writes ``report.html``, ``drive.json``, and ``trajectory``, ``timeline`` and ``precision_recall`` as PNG and SVG; whole or not at all.

    Returns:
        what was found, in sentences.

    Raises:
        VprError: the folder exists, the disk refuses, or a library for the figures is missing.
    """
    check_installed()
    from jinja2 import Environment, StrictUndefined

    from vpr_aesvc.evaluation.figures.drive import trajectory_drawing
    from vpr_aesvc.evaluation.figures.drive_time import drive_curve_drawing, time_drawing

    drive, measures = report.drive, report.measures
    drawn = [
        trajectory_drawing(drive, BOTH, measures.right),
        time_drawing(drive, BOTH, measures.right),
        drive_curve_drawing(measures.forms, measures.right),
    ]
    drawings = [drawing for drawing in drawn if drawing is not None]
    said = sentences(report)
    source = resources.files("vpr_aesvc.evaluation").joinpath("drive.html").read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page = environment.from_string(source).render(
        report=report, sentences=said, heads=heads(measures), rows=rows(measures), drawings=drawings
    )
    with new_folder(folder, "results") as partial:
        write_file(partial / "drive.json", (json.dumps(as_json(report), indent=1) + "\n").encode(), "results")
        for drawing in drawings:
            write_file(partial / f"{drawing.name}.png", drawing.png(), "figure")
            write_file(partial / f"{drawing.name}.svg", drawing.svg(), "figure")
        write_file(partial / "report.html", page.encode(), "report")
    return said


def sentences(report: DriveReport) -> list[str]:
    """What was found with sequence and geometry, which is what a robot runs."""
    drive, measures = report.drive, report.measures
    one, right = measures.forms[BOTH], measures.right
    there = measures.askable[right]
    place = "an earlier place outside of what was just driven" if drive.loops else "a place of the map"
    driven = drive.driven[-1] if len(drive) else 0.0
    found = [f"{len(drive)} frames along {driven:.0f} m; {there} of them lie within {right:g} m of {place}."]
    if not there:
        return [*found, "There was nothing to recognize, so recall cannot be given."]
    found.append(
        f"With sequence and geometry the best match of {percent(one.recall[right])} of these lies within {right:g} m; "
        f"{percent(one.accepted_recall[right])} are recognized so and accepted."
    )
    if unjudged := drive.answers[BOTH].unjudged:
        found.append(
            f"{unjudged} matches are accepted with places that have no pose; they cannot be judged and are not counted."
        )
    if not one.accepted:
        return [*found, f"No {'other ' if unjudged else ''}match was accepted."]
    wrong = one.accepted - round(one.accepted * one.precision[right])
    found.append(f"{one.accepted} matches are accepted, {wrong} of them wrong.")
    assert one.first_fix is not None
    found.append(
        f"The first is accepted {stretch(one.first_fix.after)} after there was a place to be recognized, and is "
        f"{'right' if one.first_fix.right else 'wrong'}; the longest stretch without a right one is {stretch(one.without_fix)}."
    )
    return found


def heads(measures: DriveMeasures) -> list[str]:
    """Of the columns of the table; the first is the form."""
    return [
        "form",
        *(f"R {distance:g} m" for distance in measures.askable),
        "acc.",
        f"right {measures.right:g} m",
        f"acc. R {measures.right:g} m",
        "first fix",
        "no fix for",
    ]


def rows(measures: DriveMeasures) -> list[list[str]]:
    """One for each form, as text; what there is nothing to count for is empty."""
    return [[name, *_cells(one, measures.right)] for name, one in measures.forms.items()]


def _cells(one: FormMeasures, right: float) -> list[str]:
    fix = "" if one.first_fix is None else stretch(one.first_fix.after) + ("" if one.first_fix.right else ", wrong")
    return [
        *(part(value) for value in one.recall.values()),
        str(one.accepted),
        part(one.precision[right]),
        part(one.accepted_recall[right]),
        fix,
        stretch(one.without_fix),
    ]


def part(value: float) -> str:
    """0 to 1 with three digits; nothing where it is unknown."""
    return "" if math.isnan(value) else f"{value:.3f}"


def percent(value: float) -> str:
    """Of a part of 1, such as ``84.4 %``."""
    return f"{100 * value:.1f} %"


def stretch(of: Stretch) -> str:
    """Such as ``2.5 s, 3 m``."""
    meters = f"{of.meters:.1f} m"
    return meters if math.isnan(of.seconds) else f"{of.seconds:.1f} s, {meters}"


def as_json(report: DriveReport) -> dict[str, Any]:
    """Every number, and every frame; one that is not finite is null."""
    drive, measures = report.drive, report.measures
    forms = {}
    for name, one in measures.forms.items():
        fix = one.first_fix
        forms[name] = {
            "recall": _by_distance(one.recall),
            "precision": _by_distance(one.precision),
            "accepted_recall": _by_distance(one.accepted_recall),
            "accepted": one.accepted,
            "unjudged": drive.answers[name].unjudged,
            "first_fix": None if fix is None else {**_stretch(fix.after), "right": fix.right},
            "without_fix": _stretch(one.without_fix),
            "average_precision": None if one.curve is None else one.curve.area,
        }
    frames = []
    for at, label in enumerate(drive.label):
        said = {
            name: {
                "place": answers.place[at],
                "position": [_finite(value) for value in answers.position[at]],
                "error": _finite(answers.error[at]),
                "probability": answers.probability[at],
                "false_positive_rate": answers.false_positive_rate[at],
                "accepted": answers.accepted[at],
            }
            for name, answers in drive.answers.items()
        }
        where = {"stamp": _finite(drive.stamp[at]), "position": list(drive.position[at]), "driven": drive.driven[at]}
        frames.append({"frame": label, **where, "nearest": _finite(drive.nearest[at]), "answers": said})
    return {
        "title": report.title,
        "made": dict(report.notes),
        "loops": drive.loops,
        "right_within": measures.right,
        "frames_with_a_place_within": {f"{distance:g}": count for distance, count in measures.askable.items()},
        "forms": forms,
        "frames": frames,
    }


def _by_distance(values: dict[float, float]) -> dict[str, float | None]:
    return {f"{distance:g}": _finite(value) for distance, value in values.items()}


def _stretch(of: Stretch) -> dict[str, float | None]:
    return {"seconds": _finite(of.seconds), "meters": of.meters}


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
