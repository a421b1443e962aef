"""How recognition was measured, and what came of it, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.evaluation.methods import Method
from vpr_aesvc.evaluation.recognition_ablation import SEQUENCE, AblationVariant
from vpr_aesvc.evaluation.results import PartResult, RecognitionResult
from vpr_aesvc.types import Frame


def protocol_of(
    places: Sequence[Frame],
    frames: Sequence[Frame],
    known: NDArray[np.bool_],
    method: Method,
    why: str,
    size: int,
    wanted: Sequence[AblationVariant],
    rate: float,
) -> dict[str, Any]:
    """In words, so that nobody need guess what a number means."""
    said, absent = int(known.sum()), int((~known).sum())
    return {
        "map": f"{len(places)} database images as places, {_positions(places)}",
        "descriptors": f"{method.name}, {size} numbers; the map holds them in half precision",
        "descriptors_chosen": f"{why}; queries had no say",
        "order": _order(frames),
        "motion": _motion([*places, *frames]),
        "right_places": f"{said} of {len(frames)} queries have a right place in the map; "
        + (f"any match of the other {absent} is wrong" if absent else "all queries are in the map"),
        "forms": "; ".join(form.name for form in wanted),
        "false_positive_rate": f"{rate:g} of the frames from places that the map lacks may be accepted, as far as the map alone can teach",
        "level": "for curves and recalls, matches are accepted by their false-positive rate, between equal rates by their probability; "
        "for similarity alone, by the similarity",
        "recall": "part of the queries with a right place whose accepted match is right",
        "learned_from": "the map alone: no query and no label",
        "ms": "median of recognizing one frame, without decoding and describing it",
    }


def _positions(places: Sequence[Frame]) -> str:
    known = sum(place.pose is not None for place in places)
    return "all with positions" if known == len(places) else f"{known or 'none'} with positions"


def _order(frames: Sequence[Frame]) -> str:
    sequences = len({frame.sequence for frame in frames})
    if all(frame.sequence is None and frame.stamp is None for frame in frames):
        return "the queries as the input lists them, as if each followed on the one before: they name no sequence and have no stamps"
    by = "by index" if any(frame.index is not None for frame in frames) else "as the input lists them"
    by = "by stamp" if all(frame.stamp is not None for frame in frames) else by
    return (
        f"the queries of {sequences} sequences, each {by} and begun anew"
        if sequences > 1
        else f"the queries of one sequence, {by}"
    )


def _motion(frames: Sequence[Frame]) -> str:
    if all(frame.stamp is not None for frame in frames):
        return "from the stamps; no odometry"
    return "no odometry, and not all images have stamps, so the sequence counts frames"


def sentences(result: RecognitionResult) -> list[str]:
    """For the top of a report: what is accepted, and where a part does not help."""
    first, last = result.parts[0], result.parts[-1]
    seen, rate = last.at_rate, f"{100 * result.rate:g}\u00a0%"
    said = [
        f"Recognition ({last.name}) at a false-positive rate of {rate} accepts {seen.right + seen.wrong} of {result.queries} queries, "
        f"{seen.wrong} of them wrongly; it recalls {seen.recall:.3f}, and finds the right place first for {last.recall_at_1:.3f} "
        f"(similarity alone: {first.recall_at_1:.3f})."
    ]
    said += [words for part in result.parts[1:] if (words := _no_help(part, first, result.parts[1]))]
    followed = next((part for part in result.parts if part.name == SEQUENCE.name), None)
    if followed is not None and followed.lost > followed.gained and "stamps, so" in result.protocol["motion"]:
        said.append(
            "The images have no stamps: where more than a few places are passed from one to the next, a sequence needs them to know the pace."
        )
    if result.absent:
        said.append(
            f"{result.absent} queries have no right place in the map; {seen.absent} of them are accepted ({last.name})."
        )
    return said


def _no_help(part: PartResult, first: PartResult, probability: PartResult) -> str:
    """Where a part costs more than it gives; empty where it does not."""
    found = []
    if part.lost > part.gained:
        found.append(f"loses the right place of {part.lost} queries and gains that of {part.gained}")
    if part is not probability and part.at_rate.recall <= probability.at_rate.recall:
        found.append(
            f"recalls {part.at_rate.recall:.3f} at the rate asked for, the frame's probability alone "
            f"{probability.at_rate.recall:.3f}"
        )
    worse = {
        recall: wrong
        for recall, wrong in part.wrong_at_recall.items()
        if _more(wrong, probability.wrong_at_recall[recall])
    }
    if part is not probability and worse:
        recall = max(worse)
        found.append(
            f"accepts {worse[recall]} wrong matches before it recalls {recall:g}, the frame's probability alone "
            f"{probability.wrong_at_recall[recall]}"
        )
    return f"Where it does not help: {part.name} {', and '.join(found)}." if found else ""


def _more(one: int | None, other: int | None) -> bool:
    """Whether both recalls are reached, and the first costs more wrong matches."""
    return one is not None and other is not None and one > other
