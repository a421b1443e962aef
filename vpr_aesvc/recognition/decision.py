"""Whether a match is accepted: what its inputs, together, promise of false positives.

Of the two inputs of the frame itself the better one that can tell speaks: the key points (:mod:`support`), else the evidence
(:mod:`neighborhoods`). Their rates were learned from the map. The sequence is a witness of another kind: where the map does not reach, it is sure of some place
at one frame in ten at most (docs/recognition.md). So a match is accepted in one of two ways, which share the rate that the user allows: the frame
alone is good for four fifths of it; or the sequence is sure of the same place, and the frame is good for the other fifth divided by that tenth.

The probability of a match is what the key points and the sequence hold together. How far they repeat each other is not known (a twin looks alike in both
ways), so neither product nor choice is right: their odds are pooled, a logarithmic opinion pool of equal weights (Genest and Zidek, Statistical
Science 1986).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from vpr_aesvc.recognition.geometry.inlier_model import InlierModel
from vpr_aesvc.recognition.geometry.reranking import judge
from vpr_aesvc.recognition.geometry.verification import Geometry
from vpr_aesvc.recognition.sequence.bayes_filter import Belief
from vpr_aesvc.recognition.similarity.neighborhoods import SimilarityMargin
from vpr_aesvc.recognition.similarity.null_model import NullModel

_ALONE = 0.8  # share of the rate for a frame alone, where a sequence is followed
_SURE_ELSEWHERE = 0.1  # part of the frames from outside the map at which the sequence is sure of a place
_MOST_ODDS = 100.0  # of one witness: a robot carried off must not need the sequence's consent for long
_NOT_LEARNED = 0.05  # false positives among supported matches in a map too small to teach what inliers are worth


@dataclass(frozen=True)
class Decision:
    """``false_positive_rate``, ``probability`` and ``why``, as in ``Recognition``; ``least``: whether the map cannot promise a smaller rate."""

    false_positive_rate: float
    probability: float
    why: str
    least: bool


@dataclass(frozen=True)
class DecisionInputs:
    """What speaks for or against a match.

    Attributes:
        null: what evidence is worth in this map. inlier_model: what inliers are; None where that could not be learned.
        margin: of the frame, where it speaks for the match; else None.
        belief: of the sequence; None where none is followed. agrees: whether it is about the match.
        nearby: the probability that the sequence gives to the match.
        geometry: of the match; None where key points were not compared.
    """

    null: NullModel
    inlier_model: InlierModel | None
    margin: SimilarityMargin | None
    belief: Belief | None
    agrees: bool
    nearby: float
    geometry: Geometry | None


def decide(seen: DecisionInputs) -> Decision:
    """The false-positive rate of accepting the match, its probability, and why in words."""
    sure = seen.belief is not None and seen.agrees and seen.belief.accepted
    rate, why = _of_frame(seen, sure)
    least = rate <= _least(seen)
    if seen.belief is not None:
        rate *= _SURE_ELSEWHERE / (1 - _ALONE) if sure else 1 / _ALONE
        sequence = "and the sequence is sure of it" if sure else "and the sequence is not sure of it"
        why = f"{why}, {sequence}"
    return Decision(min(rate, 1.0), _probability(seen), why, least)


def _least(seen: DecisionInputs) -> float:
    """The smallest rate that the witness which speaks for the frame can promise in this map."""
    if seen.geometry is None or judge(seen.geometry) == "cannot tell":
        return seen.null.least_rate
    return _NOT_LEARNED if seen.inlier_model is None else seen.inlier_model.least_rate


def _of_frame(seen: DecisionInputs, sure: bool) -> tuple[float, str]:
    """The rate of the frame's own witness, and what it says. Fewer inliers than chance gives count only where the sequence is sure."""
    geometry = seen.geometry
    verdict = "cannot tell" if geometry is None else judge(geometry)
    if geometry is None or verdict == "cannot tell":
        if seen.margin is None:
            return 1.0, "the frame alone speaks for another place"
        return float(seen.null.false_positive_rate(seen.margin.value)), f"similarity margin {seen.margin.value:.2f}"
    words = geometry.why.partition("; ")[0]  # how the camera moved, which follows, decides nothing
    if verdict == "unsupported" and (not sure or seen.inlier_model is None):
        return 1.0, f"the key points do not bear it out ({words})"
    if seen.inlier_model is None:
        return _NOT_LEARNED, words
    return seen.inlier_model.false_positive_rate(geometry.inliers), words


def _probability(seen: DecisionInputs) -> float:
    """Key points and sequence pooled, or the one that can tell. What inliers are worth was learned on candidates of one frame's similarities: its evidence
    has had its say in it."""
    known = None
    if seen.inlier_model is not None and seen.geometry is not None:
        known = seen.inlier_model.probability(seen.geometry)
    if seen.belief is None:
        alone = 0.0 if seen.margin is None else float(seen.null.probability(seen.margin.value))
        return alone if known is None else known
    return seen.nearby if known is None else 1 / (1 + math.sqrt(1 / (_odds(known) * _odds(seen.nearby))))


def _odds(probability: float) -> float:
    least = 1 / (1 + _MOST_ODDS)
    bounded = min(max(probability, least), 1 - least)
    return bounded / (1 - bounded)
