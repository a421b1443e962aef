"""The decision: is the match accepted, and how probable is it?

With ``a`` the requested false-positive rate, and for the best candidate after reranking:

1. ``r``, the false-positive rate of the frame alone: from the inlier model if the key points can tell (``geometric_verdict``), else
   from the null model of the similarity margin. See ``_frame_rate``.
2. Without a sequence: accept if ``r <= a``.
3. With a sequence, two ways to accept share ``a``. The frame alone: ``r <= 0.8 a``. Or the sequence accepts the same place and
   ``0.1 r <= 0.2 a``, because the sequence accepts some place at no more than one in ten frames from outside the map. Both are written
   as a rate of the match: ``r / 0.8``, or ``r * 0.1 / 0.2``.

The probability pools the odds of the inlier model and of the sequence with equal weights (logarithmic opinion pool; Genest and Zidek,
Statistical Science 1986): ``odds = sqrt(odds_inliers * odds_sequence)``, each limited to 1 : 100. Their product would be overconfident,
because a perceptual alias deceives both. If one of the two is missing the other is used alone.
"""

import math
from dataclasses import dataclass

from vpr_aesvc.recognition.geometry.inlier_model import InlierModel
from vpr_aesvc.recognition.geometry.verification import Geometry, geometric_verdict
from vpr_aesvc.recognition.sequence.bayes_filter import Belief
from vpr_aesvc.recognition.similarity.neighborhoods import SimilarityMargin
from vpr_aesvc.recognition.similarity.null_model import NullModel

_FRAME_SHARE = 0.8  # of the requested rate, for the frame alone
_SEQUENCE_RATE = 0.1  # part of the frames from outside the map at which the sequence accepts a place
_MAX_ODDS = 100.0  # so that after a kidnapping the old belief of the sequence is overruled soon
_DEFAULT_RATE = 0.05  # of supported matches, in a map too small for an inlier model


@dataclass(frozen=True)
class DecisionInputs:
    """All that is known of the match.

    Attributes:
        null: null model of the similarity margin. inlier_model: None if it could not be learned.
        margin: of the frame; None if its best place is not near the match.
        geometry: of the match; None if geometry is off.
        belief: of the sequence; None if no sequence is tracked. belief_agrees: its best place is near the match.
        posterior: the probability that the sequence gives to the places near the match.
    """

    null: NullModel
    inlier_model: InlierModel | None
    margin: SimilarityMargin | None
    geometry: Geometry | None
    belief: Belief | None
    belief_agrees: bool
    posterior: float


@dataclass(frozen=True)
class Decision:
    """``accepted``, ``false_positive_rate``, ``probability`` and ``why``, as in ``Recognition``."""

    accepted: bool
    false_positive_rate: float
    probability: float
    why: str


def decide(inputs: DecisionInputs, requested_rate: float) -> Decision:
    """Compares the false-positive rate of the match with the requested one."""
    sequence_accepts = inputs.belief is not None and inputs.belief_agrees and inputs.belief.accepted
    rate, reason = _frame_rate(inputs, sequence_accepts)
    is_smallest = rate <= _min_frame_rate(inputs)
    if inputs.belief is not None:
        rate *= _SEQUENCE_RATE / (1 - _FRAME_SHARE) if sequence_accepts else 1 / _FRAME_SHARE
        reason = f"{reason}; the sequence is {'sure' if sequence_accepts else 'not sure'}"
    accepted = rate <= requested_rate
    rate = min(rate, 1.0)
    if accepted:
        why = f"accepted: false-positive rate {rate:.2g} is within the requested {requested_rate:g}"
    elif is_smallest:
        why = f"not accepted: this map cannot promise a false-positive rate below {rate:.2g}; requested is {requested_rate:g}"
    else:
        why = f"not accepted: false-positive rate {rate:.2g} is above the requested {requested_rate:g}"
    return Decision(accepted, rate, _probability(inputs), f"{why} ({reason})")


def _frame_rate(inputs: DecisionInputs, sequence_accepts: bool) -> tuple[float, str]:
    """The false-positive rate of the frame alone, and the reason. A match without geometric support has rate 1, but if the sequence
    accepts the place the rate of its few inliers is used."""
    geometry = inputs.geometry
    verdict = "cannot tell" if geometry is None else geometric_verdict(geometry)
    if geometry is None or verdict == "cannot tell":
        if inputs.margin is None:
            return 1.0, "the similarity margin is in favor of another place"
        rate = float(inputs.null.false_positive_rate(inputs.margin.value))
        return rate, f"similarity margin {inputs.margin.value:.2f}"
    reason = geometry.why.partition("; ")[0]  # the rest is about the relative pose, which decides nothing
    if verdict == "unsupported" and (not sequence_accepts or inputs.inlier_model is None):
        return 1.0, f"too few inliers: {reason}"
    if inputs.inlier_model is None:
        return _DEFAULT_RATE, reason
    return inputs.inlier_model.false_positive_rate(geometry.inliers), reason


def _min_frame_rate(inputs: DecisionInputs) -> float:
    """The smallest rate that ``_frame_rate`` can return for this map."""
    if inputs.geometry is None or geometric_verdict(inputs.geometry) == "cannot tell":
        return inputs.null.min_rate
    return _DEFAULT_RATE if inputs.inlier_model is None else inputs.inlier_model.min_rate


def lowest_rate(null: NullModel, inlier_model: InlierModel | None, sequence: bool, geometry: bool) -> float:
    """The lowest false-positive rate that a match can have in a map; with ``geometry``, one that key points decide."""
    rate = null.min_rate if not geometry else _DEFAULT_RATE if inlier_model is None else inlier_model.min_rate
    return rate * _SEQUENCE_RATE / (1 - _FRAME_SHARE) if sequence else rate


def _probability(inputs: DecisionInputs) -> float:
    """See the text of the module. The margin is used only if both are missing: the inlier model was learned on candidates that similarity
    chose, so it contains the margin already."""
    by_inliers = None
    if inputs.inlier_model is not None and inputs.geometry is not None:
        by_inliers = inputs.inlier_model.probability(inputs.geometry)
    if inputs.belief is None:
        by_margin = 0.0 if inputs.margin is None else float(inputs.null.probability(inputs.margin.value))
        return by_margin if by_inliers is None else by_inliers
    if by_inliers is None:
        return inputs.posterior
    return 1 / (1 + math.sqrt(1 / (_odds(by_inliers) * _odds(inputs.posterior))))


def _odds(probability: float) -> float:
    limit = 1 / (1 + _MAX_ODDS)
    bounded = min(max(probability, limit), 1 - limit)
    return bounded / (1 - bounded)
