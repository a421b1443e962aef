"""One decision for all cameras of a robot: those that put its base at the same pose support each other.

The false-positive rates of the matches of K cameras are combined as p-values by Simes' rule (Biometrika 1986): the smallest ``K p(i) / i``, with
``p(i)`` the i-th smallest. A camera that does not agree with the match counts as ``p = 1``, so the rate is never below that of all cameras,
whichever match is chosen. The rule holds for cameras that err independently or together (positive dependence: Sarkar, Annals of Statistics
1998), and always within a factor 1 + 1/2 + ... + 1/K (Hommel, Biometrical Journal 1983). Agreement itself is not evidence: at a place that looks
like one of the map, two cameras are deceived together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from vpr_aesvc.onboard.relocalization import AGREEMENT, Sighting
from vpr_aesvc.recognition.result import Recognition
from vpr_aesvc.recognition.similarity.neighborhoods import SAME_PLACE_METERS
from vpr_aesvc.transforms import distance
from vpr_aesvc.types import Place

_SAME_PLACE_SECONDS = 3.0  # along one traverse, for places without poses


@dataclass(frozen=True)
class RigView:
    """What one camera recognized. ``base``: pose of the robot's base by its match; None if the match has no pose, or the mount is unknown."""

    recognition: Recognition
    base: Sighting | None = None

    def agrees(self, other: RigView) -> bool:
        """Whether both matches put the base at the same pose; if that is unknown, whether their places are near each other."""
        if self.base is not None and other.base is not None:
            return self.base.agrees(other.base.base, other.base.covariance, AGREEMENT)
        one, two = self.recognition.best, other.recognition.best
        return one is not None and two is not None and _are_near(one.place, two.place)


def decide_rig(views: Mapping[str, RigView], requested_rate: float) -> tuple[str, Recognition]:
    """The joint match of a rig frame.

    Args:
        views: by the name of the camera; at least one.
        requested_rate: part of the rig frames from outside the map that may be accepted.

    Returns:
        The camera whose match it is, and its recognition with the decision, the rate and the reason of the rig. A match is not accepted
        if another camera is sure of another place.
    """
    rates = {name: view.recognition.false_positive_rate for name, view in views.items()}
    groups = {
        name: [other for other in views if other == name or view.agrees(views[other])] for name, view in views.items()
    }
    joint = {name: simes([rates[other] for other in group], len(views)) for name, group in groups.items()}
    group = sorted(groups[min(views, key=lambda name: (joint[name], rates[name]))], key=rates.__getitem__)
    rate = min(joint.values())
    contradicting = [name for name in views if name not in group and views[name].recognition.accepted]
    accepted = rate <= requested_rate and not contradicting
    agreeing = f"{len(group)} of {len(views)} cameras agree: " + ", ".join(
        f"{name} {rates[name]:.2g}" for name in group
    )
    why = (
        f"{'' if accepted else 'not '}accepted: false-positive rate {rate:.2g} is {'within' if rate <= requested_rate else 'above'} "
        f"the requested {requested_rate:g} ({agreeing})"
    )
    if contradicting:
        why = f"not accepted: {', '.join([group[0], *contradicting])} are sure of different places ({agreeing})"
    recognition = views[group[0]].recognition
    return group[0], replace(recognition, accepted=accepted, false_positive_rate=rate, why=why)


def simes(rates: list[float], count: int) -> float:
    """Combines the p-values of ``count`` tests; those that are not given are 1."""
    return min(1.0, *(count * rate / rank for rank, rate in enumerate(sorted(rates), 1)))


def _are_near(one: Place, other: Place) -> bool:
    if one.pose is not None and other.pose is not None:
        return distance(one.pose, other.pose) <= SAME_PLACE_METERS
    if one.stamp is None or other.stamp is None:
        return one.id == other.id
    return one.traverse == other.traverse and abs(one.stamp - other.stamp) <= _SAME_PLACE_SECONDS
