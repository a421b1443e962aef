"""What a run found, in sentences, also where it disappoints."""

from __future__ import annotations

import math
from collections.abc import Callable

from vpr_aesvc.evaluation.bench import Run
from vpr_aesvc.evaluation.results import MethodResult

Value = Callable[[MethodResult], float]


def summary(run: Run, metric: str) -> list[str]:
    """For the top of a report. ``metric`` is its headline, R@1 or mAP@4."""

    def value(one: MethodResult) -> float:
        return one.recall.get(1, math.nan) if metric == "R@1" else one.map_at.get(4, math.nan)

    results, protocol = run.findings.results, run.protocol
    sentences = [
        f"{protocol['database_images']} database and {protocol['query_images']} query images; a match is right "
        f"{protocol['positives']}; {protocol['queries_without_positives']} queries have no right place among them and are left out. "
        "Every method was fitted on the database images alone."
    ]
    if protocol["skipped"]:
        sentences.append(
            f"{len(protocol['skipped'])} images could not be read: these are numbers for a part of the set, not for the set."
        )
    raw = next((one for one in results if one.method == "raw"), None)
    fitted = [one for one in results if one.method != "raw"]
    if raw is None or not fitted:
        return sentences
    best = max(fitted, key=value)
    compared = f"{metric} {value(best):.3f} with {best.size} numbers, against {value(raw):.3f} for the raw {raw.size}"
    gained = value(best) > value(raw)
    sentences.append(
        f"{best.method} does best: {compared}."
        if gained
        else f"No method beats raw: the best, {best.method}, has {compared}."
    )
    without = [
        name
        for name in dict.fromkeys(one.method for one in fitted)
        if max(value(one) for one in fitted if one.method == name) <= value(raw)
    ]
    if without and gained:
        sentences.append(f"No gain over raw at any size: {', '.join(without)}.")
    as_good = [one for one in fitted if value(one) >= value(raw)]
    if as_good:
        least = min(as_good, key=lambda one: one.size)
        sentences.append(
            f"{least.method} is as good as raw from {least.size} numbers, {least.bytes_per_place} bytes a place."
        )
    notes = [f"{method.name}: {method.note}." for method in run.methods if method.key == "aesvc" and method.note]
    return [*sentences, *notes, *_against_latent(run, value), *_against_upper_bound(run, value)]


def _against_latent(run: Run, value: Value) -> list[str]:
    """Where (SS)2D is worth its training: against the AE-SVC latent simply cut to the same size."""
    table = {(one.method, one.size): value(one) for one in run.findings.results}
    found = []
    for method in run.methods:
        gains = {
            size: table[method.name, size] - table["AE-SVC", size]
            for size in method.by_size
            if method.name.startswith("(SS)2D") and ("AE-SVC", size) in table
        }
        if gains:
            said = ", ".join(f"{gain:+.3f} at {size}" for size, gain in gains.items())
            found.append(f"{method.name} against AE-SVC cut to the same size: {said}.")
    return found


def _against_upper_bound(run: Run, value: Value) -> list[str]:
    table = {(one.method, one.size): value(one) for one in run.findings.results}
    behind = {
        size: table["(SS)2D", size] - best
        for (name, size), best in table.items()
        if name == "SSD" and ("(SS)2D", size) in table
    }
    if not behind:
        return []
    worst = min(behind, key=lambda size: behind[size])
    return [
        f"(SS)2D, one descriptor for all sizes, is between {min(behind.values()):+.3f} and {max(behind.values()):+.3f} of SSD, one "
        f"network a size; the least at {worst} numbers."
    ]
