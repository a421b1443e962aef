"""Which of the paper's claims hold on what was run, in words, with the figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from benchmarks.paper_runs import AESVC, OUR_AESVC, OUR_SS2D, PCA, RAW, SS2D, SSD, VAE, PaperRun

CLOSE = 0.02
SMALL = 128
Verdict = tuple[bool, str]


def claims(runs: Sequence[PaperRun]) -> list[str]:
    """Lines: each claim, on how many of the runs it held, and the figures of each run."""
    foundation = [run for run in runs if not run.specific]
    lines = ["mAP@4 throughout. The paper's methods first; after | this project's forms of the same."]
    lines += _claim("1. AE-SVC is above the raw embedding at full size", runs, _above_raw)
    lines += _claim(
        f"2. (SS)2D is above PCA and above VAE at each size up to {SMALL}",
        runs,
        lambda run: _above(run, (PCA, VAE)),
    )
    lines += _claim(f"3. (SS)2D is close to SSD: at most {CLOSE:g} behind at each size", runs, _close_to_ssd)
    lines += _claim("4. AE-SVC lowers the variance of the cosines of two images", runs, _variance)
    lines += _claim(
        "5. A dataset-specific encoder gains less from AE-SVC than the foundation models on average",
        [run for run in runs if run.specific and any(one.dataset == run.dataset for one in foundation)],
        lambda run: _gains_less(run, [one for one in foundation if one.dataset == run.dataset]),
    )
    return lines


def _claim(claim: str, runs: Iterable[PaperRun], judge: Callable[[PaperRun], Verdict]) -> list[str]:
    verdicts = [(run, *judge(run)) for run in runs]
    held = sum(holds for _, holds, _ in verdicts)
    count = f"held on {held} of {len(verdicts)}" if verdicts else "not tested: no run for it"
    rows = [
        f"   {'held    ' if holds else 'NOT held'} {run.dataset:<9} {run.backbone:<20} {text}"
        for run, holds, text in verdicts
    ]
    return ["", f"{claim}: {count}.", *rows]


def _above_raw(run: PaperRun) -> Verdict:
    raw, size = run.full(RAW), max(run.scores[AESVC])
    text = f"raw ({run.dim}) {raw:.3f}, AE-SVC ({size}) {run.full(AESVC):.3f} {run.full(AESVC) - raw:+.3f}"
    if OUR_AESVC in run.scores:
        text += f" | {run.full(OUR_AESVC):.3f} {run.full(OUR_AESVC) - raw:+.3f}"
    return run.full(AESVC) > raw, text


def _above(run: PaperRun, others: Sequence[str]) -> Verdict:
    holds, parts = True, []
    for size, value in run.scores[SS2D].items():
        if size > SMALL:
            continue
        against = [run.scores[other][size] for other in others]
        holds &= all(value > other for other in against)
        ours = f" | {run.scores[OUR_SS2D][size]:.3f}" if OUR_SS2D in run.scores else ""
        parts.append(f"{size}: {value:.3f} ({', '.join(f'{other:.3f}' for other in against)}){ours}")
    return holds, "; ".join(parts)


def _close_to_ssd(run: PaperRun) -> Verdict:
    behind = {size: run.scores[SSD][size] - value for size, value in run.scores[SS2D].items()}
    worst = max(behind, key=behind.__getitem__)
    text = "; ".join(f"{size}: {-value:+.3f}" for size, value in behind.items())
    return behind[worst] <= CLOSE, text


def _variance(run: PaperRun) -> Verdict:
    raw, after = (float(np.var(run.cosines[method])) for method in (RAW, AESVC))
    text = f"{raw:.2g} raw, {after:.2g} AE-SVC"
    if OUR_AESVC in run.cosines:
        text += f" | {np.var(run.cosines[OUR_AESVC]):.2g}"
    return after < raw, text


def _gains_less(run: PaperRun, others: Sequence[PaperRun]) -> Verdict:
    gain = run.full(AESVC) - run.full(RAW)
    mean = float(np.mean([one.full(AESVC) - one.full(RAW) for one in others]))
    return gain < mean, f"{gain:+.3f}, the {len(others)} foundation models {mean:+.3f} on average"
