"""Geometric verification: do two images show the same rigid scene, and which candidate shows it best?

1. Key points are matched: mutual nearest neighbors that pass Lowe's ratio test.
2. MAGSAC++ (Barath et al., CVPR 2020, from OpenCV) fits a homography (a plane, or pure rotation) and a fundamental matrix (any depth).
   The homography is chosen if it has at least 0.8 times the inliers of the fundamental matrix, as in ORB-SLAM: a plane leaves the
   fundamental matrix undetermined, and an epipolar line has more chance inliers than a point.
3. With intrinsics, the relative pose up to scale (``relative_pose``). The number of inliers never depends on the intrinsics.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.recognition.geometry.local_features import LONGEST_SIDE, ROOTSIFT_SCALE, Keypoints, Kind
from vpr_aesvc.recognition.geometry.relative_pose import Model, relative_pose
from vpr_aesvc.types import Intrinsics, Points, Rows

Verdict = Literal["supported", "unsupported", "cannot tell"]

MIN_INLIERS = 12
"""2,000 pairs of images of unrelated buildings had at most 9 inliers with SIFT and 13 with ORB."""
_MIN_KEYPOINTS = 75
_FAR = {"sift": 0.5 * ROOTSIFT_SCALE**2, "orb": 80.0}  # descriptors of different points
_RATIO = 0.8  # Lowe, IJCV 2004: a match must be this much nearer than the second best
_HOMOGRAPHY_PIXELS, _EPIPOLAR_PIXELS = 6.0, 3.0  # tolerances, in an image whose longer side is LONGEST_SIDE
_CONFIDENCE, _ITERATIONS = 0.999, 1000  # the iterations bound the time
_HOMOGRAPHY_SHARE = 0.8  # ORB-SLAM (Mur-Artal et al., T-RO 2015) takes 0.82
_MIN_HOMOGRAPHY, _MIN_FUNDAMENTAL = 5, 8  # one more than the solver needs: with fewer, any points agree


@dataclass(frozen=True, eq=False)
class Geometry:
    """The result of comparing a query with one candidate.

    Attributes:
        inliers: matches that the model explains, counted without intrinsics.
        matches: number of matches.
        keypoints: in the image that has fewer. If there are few key points, few inliers are no evidence against the match.
        model: that explains the inliers; None if none does.
        rotation: float64 [3, 3] or None: rotates directions from the query's camera frame into the candidate's.
        direction: float64 [3] or None: unit vector from the candidate's camera to the query's, in the candidate's camera frame. The
            distance is unknown. None also if the camera only turned, or did not move.
        pairs: int64 [matches, 2], the matched key points of the query and of the candidate.
        inside: bool [matches], which of them are inliers.
        why: the reason in words.
        is_skipped: no model was fitted, because the matches are too few to be better than another candidate.
        points: float32 [inliers, 4]: x and y of each inlier in the query, then in the candidate, in parts of the longest side of each image.

    Camera frames are optical frames: x to the right, y down, z forward. A point at ``p`` in the query's frame is at
    ``rotation @ p + s * direction`` in the candidate's, with an unknown ``s > 0``.
    """

    inliers: int
    matches: int
    keypoints: int
    model: Model | None = None
    rotation: Points | None = field(default=None, repr=False)
    direction: Points | None = field(default=None, repr=False)
    pairs: Rows = field(default_factory=lambda: np.empty((0, 2), np.int64), repr=False)
    inside: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_), repr=False)
    why: str = ""
    points: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 4), np.float32), repr=False)
    is_skipped: bool = False


def verify(
    query: Keypoints, candidate: Keypoints, intrinsics: Intrinsics | None = None, more_than: int = 0
) -> Geometry:
    """Compares two images by their key points. Deterministic.

    Args:
        intrinsics: of the query's camera. The candidate is assumed to come from the same camera, at any resolution.
        more_than: inliers of a better candidate. If no more key points match, the models, which take most of the time, are not fitted.

    Raises:
        VprError: key points of two kinds.
    """
    if query.kind != candidate.kind:
        raise VprError(f"{query.kind} key points cannot be compared with {candidate.kind}; detect both with one kind")
    keypoints = min(len(query), len(candidate))
    if _same_image(query, candidate):  # repeated texture, such as tiles, has no clear matches even with itself
        return Geometry(
            inliers=keypoints,
            matches=keypoints,
            keypoints=keypoints,
            model="homography",
            rotation=np.eye(3) if intrinsics is not None else None,
            pairs=np.repeat(np.arange(keypoints)[:, None], 2, axis=1),
            inside=np.ones(keypoints, np.bool_),
            why="the same image: all key points are equal",
            points=np.tile(_parts(query.xy, query), 2),
        )
    pairs = match_keypoints(query, candidate)
    if len(pairs) < MIN_INLIERS or len(pairs) <= more_than:
        why, is_skipped = f"only {len(pairs)} key points match", len(pairs) >= MIN_INLIERS
        none = np.zeros(len(pairs), np.bool_)
        return Geometry(0, len(pairs), keypoints, pairs=pairs, inside=none, why=why, is_skipped=is_skipped)
    query_xy, candidate_xy = query.xy[pairs[:, 0]].astype(np.float64), candidate.xy[pairs[:, 1]].astype(np.float64)
    points = _working_scale(query_xy, query), _working_scale(candidate_xy, candidate)
    homography = _robust_fit(cv2.findHomography, points, _HOMOGRAPHY_PIXELS, _MIN_HOMOGRAPHY)
    is_plane = homography.sum() >= _HOMOGRAPHY_SHARE * len(pairs)  # whatever the other model explains
    fundamental = (
        homography if is_plane else _robust_fit(cv2.findFundamentalMat, points, _EPIPOLAR_PIXELS, _MIN_FUNDAMENTAL)
    )
    counts = int(homography.sum()), int(fundamental.sum())
    if not any(counts):
        why = f"no rigid model fits the {len(pairs)} matches"
        return Geometry(0, len(pairs), keypoints, pairs=pairs, inside=homography, why=why)
    is_plane = is_plane or counts[0] >= _HOMOGRAPHY_SHARE * counts[1]
    model: Model = "homography" if is_plane else "fundamental"
    inside, inliers = (homography, counts[0]) if is_plane else (fundamental, counts[1])
    why = f"{inliers} of {len(pairs)} matches fit a {'homography' if is_plane else 'fundamental matrix'}"
    agreeing = np.hstack([_parts(query_xy[inside], query), _parts(candidate_xy[inside], candidate)])
    if intrinsics is None:
        return Geometry(inliers, len(pairs), keypoints, model, pairs=pairs, inside=inside, why=why, points=agreeing)
    bearings = np.hstack(
        [
            intrinsics.bearings(query_xy[inside], 1.0),
            intrinsics.bearings(candidate_xy[inside], candidate.longest_side / query.longest_side),
        ]
    )
    bearings = bearings[np.isfinite(bearings).all(axis=1)]  # those of which the distortion could be undone
    if len(bearings) < _MIN_HOMOGRAPHY:
        why += "; the lens distortion cannot be undone, the intrinsics do not fit"
        return Geometry(inliers, len(pairs), keypoints, model, pairs=pairs, inside=inside, why=why, points=agreeing)
    pose = relative_pose(
        query=bearings[:, :2],
        candidate=bearings[:, 2:],
        pixel=query.longest_side / LONGEST_SIDE / math.sqrt(intrinsics.fx * intrinsics.fy),
        model=model,
    )
    return Geometry(
        inliers=inliers,
        matches=len(pairs),
        keypoints=keypoints,
        model=pose.model,
        rotation=pose.rotation,
        direction=pose.direction,
        pairs=pairs,
        inside=inside,
        why=why + pose.why,
        points=agreeing,
    )


def geometric_verdict(geometry: Geometry) -> Verdict:
    """``supported`` from 12 inliers up. With fewer: ``unsupported`` if both images have at least 75 key points, else ``cannot tell``,
    as for a wall, a dark frame or motion blur."""
    if geometry.inliers >= MIN_INLIERS:
        return "supported"
    return "cannot tell" if geometry.keypoints < _MIN_KEYPOINTS else "unsupported"


def rerank(geometries: Sequence[Geometry]) -> list[int]:
    """Positions of the candidates, best first.

    Supported candidates come first, most inliers first. The others keep their order: for fewer inliers than chance gives, the
    similarity is the better criterion.

    Args:
        geometries: of the candidates, most similar first.
    """
    counts = [one.inliers if geometric_verdict(one) == "supported" else 0 for one in geometries]
    return sorted(range(len(counts)), key=lambda at: -counts[at])


def distinctive_inliers(query: Keypoints, candidate: Geometry, others: Sequence[Geometry]) -> int:
    """Inliers whose key point of the query matches in none of the others: Lowe's ratio test, but among places. What other places show as well,
    such as equal doors or signs, does not tell them apart.

    Args:
        others: of candidates that show another scene.
    """
    positions = _positions(query, np.arange(len(query)))
    elsewhere = [positions[one.pairs[:, 0]] for one in others]
    own = positions[candidate.pairs[candidate.inside, 0]]
    return int(np.isin(own, np.concatenate(elsewhere), invert=True).sum()) if elsewhere else len(own)


def match_keypoints(query: Keypoints, candidate: Keypoints, allowed: NDArray[np.bool_] | None = None) -> Rows:
    """Pairs of rows int64 [m, 2], nearest first: mutual nearest neighbors that pass the ratio test; each position is used once.

    Args:
        allowed: bool [n, m], the pairs that are compared, by what is known of the cameras' poses; by default all.
    """
    if len(query) < 2 or len(candidate) < 2:
        return np.empty((0, 2), np.int64)
    if allowed is None:
        nearest, best, second, mutual = _nearest_of_all(query, candidate)
    else:
        nearest, best, second, mutual = _nearest_of_allowed(query, candidate, allowed)
    limit = _RATIO**2 if query.kind == "sift" else _RATIO  # a Hamming distance is not squared
    chosen = np.flatnonzero(mutual & (best < limit * second))
    chosen = chosen[np.argsort(best[chosen], kind="stable")]
    pairs = np.column_stack([chosen, nearest[chosen]]).astype(np.int64)
    # SIFT describes one position once for each of its orientations; it must count as one match.
    for side, points in enumerate((query, candidate)):
        pairs = pairs[np.sort(np.unique(_positions(points, pairs[:, side]), return_index=True)[1])]
    return pairs


def _positions(keypoints: Keypoints, rows: Rows) -> Rows:
    """int64 [k]: equal for key points in one pixel of an image whose longer side is LONGEST_SIDE."""
    x, y = np.round(keypoints.xy[rows] * (LONGEST_SIDE / keypoints.longest_side)).T.astype(np.int64)
    return np.asarray(x * 2 * LONGEST_SIDE + y)


_Nearest = tuple[Rows, NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]


def _nearest_of_all(query: Keypoints, candidate: Keypoints) -> _Nearest:
    """Of each key point of the query: the nearest one of the candidate, its distance, that of the second nearest, and whether it is mutual."""
    distances = _squared_distances(_vectors(query.descriptors, query.kind), _vectors(candidate.descriptors, query.kind))
    rows = np.arange(len(query))
    nearest, back = distances.argmin(axis=1), distances.argmin(axis=0)
    best = distances[rows, nearest]
    distances[rows, nearest] = np.inf
    return nearest, best, distances.min(axis=1), back[nearest] == rows


def _nearest_of_allowed(query: Keypoints, candidate: Keypoints, allowed: NDArray[np.bool_]) -> _Nearest:
    """As ``_nearest_of_all``, among few pairs, and without those of different points; infinite distances where there are none."""
    rows, columns = np.divmod(np.flatnonzero(allowed), len(candidate))
    between = _vectors(query.descriptors[rows], query.kind) - _vectors(candidate.descriptors[columns], query.kind)
    distances = np.einsum("ij,ij->i", between, between)
    near = distances < _FAR[query.kind]
    rows, columns, distances = rows[near], columns[near], distances[near]
    nearest = np.zeros(len(query), np.int64)
    best, second = np.full((2, len(query)), np.inf, np.float32)
    order = np.lexsort((distances, rows))
    rows, columns, distances = rows[order], columns[order], distances[order]
    first = np.r_[True, rows[1:] != rows[:-1]][: len(rows)]
    nearest[rows[first]], best[rows[first]] = columns[first], distances[first]
    after = np.flatnonzero(first[:-1] & ~first[1:]) + 1
    second[rows[after]] = distances[after]
    back = np.full(len(candidate), -1)
    order = np.lexsort((rows, distances, columns))[::-1]  # the last that is written is the nearest
    back[columns[order]] = rows[order]
    return nearest, best, second, back[nearest] == np.arange(len(query))


def _robust_fit(
    fit: Callable[..., Any], points: tuple[Points, Points], tolerance: float, min_inliers: int
) -> NDArray[np.bool_]:
    """Which of the matched points, [m, 2] each, one model explains within ``tolerance`` pixels; none if fewer than ``min_inliers``."""
    none = np.zeros(len(points[0]), np.bool_)
    try:
        model, mask = fit(*points, cv2.USAC_MAGSAC, tolerance, maxIters=_ITERATIONS, confidence=_CONFIDENCE)
    except cv2.error:  # OpenCV 5 asserts, rather than finds nothing, on some degenerate sets of points
        return none
    if model is None or mask is None:
        return none
    inside = mask.ravel().astype(np.bool_)
    return inside if inside.sum() >= min_inliers else none


def _vectors(descriptors: NDArray[np.uint8], kind: Kind) -> NDArray[np.float32]:
    """As float32 [k, 128], or the bits of ORB [k, 256]."""
    return (np.unpackbits(descriptors, axis=1) if kind == "orb" else descriptors).astype(np.float32)


def _squared_distances(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 [n, m]. Sums of at most 128 products of bytes stay below 2^24: exact in single precision, in any order of summation.
    OpenCV's product, because numpy starts threads that wait for each other on a busy robot."""
    squares = np.einsum("ij,ij->i", one, one)[:, None] + np.einsum("ij,ij->i", other, other)
    return np.asarray(cv2.gemm(one, other, -2.0, squares, 1.0, flags=cv2.GEMM_2_T), np.float32)


def _same_image(one: Keypoints, other: Keypoints) -> bool:
    return len(one) > 0 and np.array_equal(one.xy, other.xy) and np.array_equal(one.descriptors, other.descriptors)


def _parts(xy: NDArray[np.floating], keypoints: Keypoints) -> NDArray[np.float32]:
    """Pixels [m, 2] of the full image -> parts of its longest side."""
    return np.asarray((xy + 0.5) / keypoints.longest_side, np.float32)


def _working_scale(xy: Points, keypoints: Keypoints) -> Points:
    """Pixels [m, 2] of the full image -> pixels of an image whose longer side is LONGEST_SIDE."""
    return np.asarray((xy + 0.5) * (LONGEST_SIDE / keypoints.longest_side))
