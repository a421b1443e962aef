"""The findings of a run in sentences, including where a method does not help."""

import math

from vpr_aesvc.evaluation.bench import BenchmarkRun
from vpr_aesvc.evaluation.recommendation import FEW_QUERIES
from vpr_aesvc.evaluation.results import MethodResult


def methods_summary(run: BenchmarkRun) -> list[str]:
    """Sentences for the top of a report."""

    def score(result: MethodResult) -> float:
        return result.recall.get(1, math.nan)

    results, protocol = run.evaluation.results, run.protocol
    sentences = [
        f"{protocol['database_images']} database and {protocol['query_images']} query images; a match is right "
        f"{protocol['positives']}; {protocol['queries_without_positives']} queries have no right place and are left out. "
        "Every method was fitted on the database images alone."
    ]
    if protocol["skipped"]:
        sentences.append(
            f"{len(protocol['skipped'])} images could not be read: the numbers are for a part of the set, not for the whole set."
        )
    usable = protocol["query_images"] - protocol["queries_without_positives"]
    if 0 < usable < FEW_QUERIES:
        return [*sentences, _few_queries(usable, results)]
    raw = next((one for one in results if one.method == "raw"), None)
    fitted = [one for one in results if one.method != "raw"]
    if raw is None or not fitted:
        return sentences
    best = max(fitted, key=score)
    comparison = f"R@1 {score(best):.3f} with {best.size} numbers, against {score(raw):.3f} for the raw {raw.size}"
    if score(best) > score(raw):
        sentences.append(f"{best.method} is best: {comparison}.")
        no_gain = [
            name
            for name in dict.fromkeys(one.method for one in fitted)
            if max(score(one) for one in fitted if one.method == name) <= score(raw)
        ]
        if no_gain:
            sentences.append(f"No gain over raw at any size: {', '.join(no_gain)}.")
    else:
        sentences.append(f"No method beats raw: the best, {best.method}, has {comparison}.")
    as_good = [one for one in fitted if score(one) >= score(raw)]
    if as_good:
        smallest = min(as_good, key=lambda one: one.size)
        sentences.append(
            f"{smallest.method} is as good as raw from {smallest.size} numbers, {smallest.bytes_per_place} bytes per place."
        )
    notes = [f"{method.name}: {method.note}." for method in run.methods if method.key == "aesvc" and method.note]
    return [*sentences, *notes]


def _few_queries(usable: int, results: list[MethodResult]) -> str:
    """What so few queries can show: the 95 % interval of a proportion (Wilson, 1927)."""
    highest = max((one.recall[1] for one in results if 1 in one.recall), default=0.0)
    z, hits = 1.96, round(highest * usable)
    center = (hits + z**2 / 2) / (usable + z**2)
    half = z / (usable + z**2) * math.sqrt(hits * (usable - hits) / usable + z**2 / 4)
    return (
        f"Only {usable} queries have a right place, too few to name a best method: {hits} right of {usable} is a recall between "
        f"{center - half:.2f} and {center + half:.2f} (95 %), so methods within {2 * half:.2f} of each other cannot be told apart. Use at "
        f"least {FEW_QUERIES} queries."
    )
