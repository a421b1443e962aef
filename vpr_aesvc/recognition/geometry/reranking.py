"""The verdict on a candidate from its inliers, and the order of candidates after geometric verification."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from vpr_aesvc.recognition.geometry.verification import Geometry

Verdict = Literal["supported", "unsupported", "cannot tell"]

MIN_INLIERS = 12
"""2,000 pairs of images of unrelated buildings had at most 9 inliers with SIFT and 13 with ORB."""
MIN_KEYPOINTS = 75


def geometric_verdict(geometry: Geometry) -> Verdict:
    """``supported`` from 12 inliers up. With fewer: ``unsupported`` if both images have at least 75 key points, else ``cannot tell``,
    as for a wall, a dark frame or motion blur."""
    if geometry.inliers >= MIN_INLIERS:
        return "supported"
    return "cannot tell" if geometry.keypoints < MIN_KEYPOINTS else "unsupported"


def rerank(geometries: Sequence[Geometry]) -> list[int]:
    """Positions of the candidates, best first.

    Supported candidates come first, most inliers first. The others keep their order: for fewer inliers than chance gives, the
    similarity is the better criterion.

    Args:
        geometries: of the candidates, most similar first.
    """
    counts = [one.inliers if geometric_verdict(one) == "supported" else 0 for one in geometries]
    return sorted(range(len(counts)), key=lambda at: -counts[at])
