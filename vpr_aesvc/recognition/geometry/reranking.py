"""What the inliers of the top few candidates decide: their order, and whether the best may be taken at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vpr_aesvc.recognition.geometry.verification import Geometry

Verdict = Literal["supported", "unsupported", "cannot tell"]

MIN_INLIERS = 12
MIN_KEYPOINTS = 75


@dataclass(frozen=True)
class Reranked:
    """Candidates after the geometric check, by their positions in the list that was given.

    Attributes:
        order: best first.
        verdicts: of each candidate, in the order given.
        best: the candidate to take, or None: the best has texture and no support, which is a veto.
        why: in words.
    """

    order: tuple[int, ...]
    verdicts: tuple[Verdict, ...]
    best: int | None
    why: str


def judge(geometry: Geometry, least: int = MIN_INLIERS) -> Verdict:
    """``supported`` from ``least`` inliers up. With less, ``unsupported`` only where both images have key points enough for a place
    seen again to show itself; a wall, a dark frame or motion blur has no say."""
    if geometry.inliers >= least:
        return "supported"
    return "cannot tell" if geometry.keypoints < MIN_KEYPOINTS else "unsupported"


def rerank(geometries: Sequence[Geometry], least: int = MIN_INLIERS) -> Reranked:
    """Orders candidates and says whether the best may be taken.

    Supported candidates come first, most inliers first. The others keep their order: between counts that chance reaches, similarity
    knows better. A candidate is never taken only because those before it were ruled out.

    Args:
        geometries: of the candidates, most similar first.
        least: inliers of a supported candidate, at least 1.
    """
    verdicts = tuple(judge(one, least) for one in geometries)
    order = tuple(
        sorted(range(len(verdicts)), key=lambda at: -geometries[at].inliers if verdicts[at] == "supported" else 0)
    )
    if not order:
        return Reranked((), (), None, "no candidates")
    first = order[0]
    best = None if verdicts[first] == "unsupported" else first
    return Reranked(order, verdicts, best, f"{verdicts[first]}: {geometries[first].why}")
