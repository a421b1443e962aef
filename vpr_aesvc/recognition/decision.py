"""The decision: is the match accepted, and how probable is it?

With ``a`` the requested false-positive rate, and for the best candidate after reranking:

1. ``r``, the false-positive rate of the frame alone: from the match model (``match_model``), or, where geometry is off, from the null model of
   the similarity margin. Where the key points cannot tell (``geometric_verdict``) it is eight times the latter.
2. With a sequence it is divided by ``sequence_weight`` of the probability that the sequence gives to the place.
3. Accept if ``r <= a``.

The probability is that of the match model. It knows how many inliers and which posterior right matches have, and those of frames from outside
the map, and takes both for equally frequent. Where geometry is off it is ``p (1 - r)``, with p from the sequence, else from the margin.
"""

from dataclasses import dataclass

from vpr_aesvc.recognition.geometry.verification import geometric_verdict
from vpr_aesvc.recognition.match_model import MAX_SEQUENCE_WEIGHT, MatchModel, sequence_weight
from vpr_aesvc.recognition.matching import RankedCandidates
from vpr_aesvc.recognition.similarity.null_model import NullModel

_WITHOUT_KEY_POINTS = 8.0  # factor: bare walls look alike


@dataclass(frozen=True)
class Decision:
    """``accepted``, ``false_positive_rate``, ``probability`` and ``why``, as in ``Recognition``."""

    accepted: bool
    false_positive_rate: float
    probability: float
    why: str


def decide(
    found: RankedCandidates, null: NullModel, model: MatchModel | None, sequence: bool, requested_rate: float
) -> Decision:
    """Compares the false-positive rate of the best candidate with the requested one.

    Args:
        model: None without geometry. sequence: whether one is tracked.
    """
    rate, smallest, reason = _frame_rate(found, null, model)
    is_smallest = rate <= smallest
    if sequence:
        rate /= sequence_weight(found.posterior)
        reason = f"{reason}; the sequence gives this place {100 * found.posterior:.0f} %"
    accepted, rate = rate <= requested_rate, min(rate, 1.0)
    if accepted:
        why = f"accepted: false-positive rate {rate:.2g} is within the requested {requested_rate:g}"
    elif is_smallest:
        why = f"not accepted: this map cannot promise a false-positive rate below {rate:.2g}; requested is {requested_rate:g}"
    else:
        why = f"not accepted: false-positive rate {rate:.2g} is above the requested {requested_rate:g}"
    return Decision(accepted, rate, _probability(found, null, model, sequence, rate), f"{why} ({reason})")


def lowest_rate(null: NullModel, model: MatchModel | None, sequence: bool) -> float:
    """The lowest false-positive rate that a match can have in a map; ``model``: None without geometry."""
    rate = null.min_rate if model is None else model.min_rate
    return rate / MAX_SEQUENCE_WEIGHT if sequence else rate


def _frame_rate(found: RankedCandidates, null: NullModel, model: MatchModel | None) -> tuple[float, float, str]:
    """The false-positive rate of the frame alone, the smallest that the map can promise for such a frame, and the reason."""
    if model is not None and found.geometries and geometric_verdict(found.geometries[0]) != "cannot tell":
        geometry = found.geometries[0]
        reason = geometry.why.partition("; ")[0]  # the rest is about the relative pose, which decides nothing
        if found.distinctive_inliers < geometry.inliers:
            reason += f", {geometry.inliers - found.distinctive_inliers} of them also match another place"
        return model.false_positive_rate(found.distinctive_inliers), model.min_rate, reason
    if model is not None and found.frames_since_verified:
        when = "the frame" if found.frames_since_verified == 1 else f"{found.frames_since_verified} frames"
        reason = f"{found.distinctive_inliers} key points matched {when} before"
        return model.false_positive_rate(found.distinctive_inliers), model.min_rate, reason
    factor = 1.0 if model is None else _WITHOUT_KEY_POINTS
    if found.margin is None:
        return 1.0, factor * null.min_rate, "the similarity margin is in favor of another place"
    rate = min(factor * float(null.false_positive_rate(found.margin.value)), 1.0)
    return rate, factor * null.min_rate, f"similarity margin {found.margin.value:.2f}"


def _probability(
    found: RankedCandidates, null: NullModel, model: MatchModel | None, sequence: bool, rate: float
) -> float:
    if model is not None and (found.geometries or found.frames_since_verified):
        return model.probability(found.distinctive_inliers, found.posterior, sequence)
    if sequence:
        return found.posterior * (1 - rate)
    return 0.0 if found.margin is None else float(null.probability(found.margin.value)) * (1 - rate)
