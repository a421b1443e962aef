"""Do two images show the same thing from two places? Key points are matched, and a rigid scene must explain the matches.

Without intrinsics the scene is explained by a homography (a plane, or a camera that only turned) or a fundamental matrix (any depth),
whichever explains more: a plane leaves the fundamental matrix undetermined, depth does not fit a homography. With intrinsics it also
says how the camera stood, up to scale (:mod:`relative_pose`); the count of inliers never depends on them. Robust fits are MAGSAC++ (Barath et al., CVPR 2020) from OpenCV.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.recognition.geometry.local_features import LONGEST_SIDE, Keypoints
from vpr_aesvc.recognition.geometry.relative_pose import Model, relative_pose
from vpr_aesvc.types import Intrinsics, Points

RATIO = 0.8  # Lowe, IJCV 2004: a match must be this much nearer than the second best
HOMOGRAPHY_PIXELS, EPIPOLAR_PIXELS = 6.0, 3.0  # tolerances, in an image whose longer side is LONGEST_SIDE
CONFIDENCE, ITERATIONS = 0.999, 1000  # the iterations bound the time
_PLANE_SHARE = 0.8  # an epipolar line catches more chance matches than a point does (ORB-SLAM, Mur-Artal et al., T-RO 2015, takes 0.82)
_LEAST_HOMOGRAPHY, _LEAST_EPIPOLAR = 5, 8  # one more than the solver needs: fewer points always agree


@dataclass(frozen=True, eq=False)
class Geometry:
    """What the key points of a query and of one candidate say.

    Attributes:
        inliers: matches that one rigid scene explains, counted without intrinsics.
        matches: key points of the query with one clear counterpart.
        keypoints: in the image that has fewer of them. Where they are few, a lack of inliers says nothing.
        model: what explains the inliers; None where nothing does.
        rotation: float64 [3, 3] or None: turns directions from the query's camera frame into the candidate's.
        direction: float64 [3] or None: unit vector from the candidate's camera to the query's, in the candidate's camera frame. The
            distance is unknown. None also where the camera only turned, or did not move.
        why: in words.

    Camera frames are optical frames: x to the right, y down, z forward. A point at ``p`` in the query's frame is at
    ``rotation @ p + s * direction`` in the candidate's, with an unknown ``s > 0``.
    """

    inliers: int
    matches: int
    keypoints: int
    model: Model | None = None
    rotation: Points | None = field(default=None, repr=False)
    direction: Points | None = field(default=None, repr=False)
    why: str = ""


def verify(query: Keypoints, candidate: Keypoints, intrinsics: Intrinsics | None = None) -> Geometry:
    """Compares two images by their key points. The same input gives the same answer.

    Args:
        intrinsics: of the query's camera. The candidate is taken to come from the same camera, if at another resolution.

    Raises:
        VprError: key points of two kinds.
    """
    if query.kind != candidate.kind:
        raise VprError(f"{query.kind} key points cannot be compared with {candidate.kind}; detect both with one kind")
    keypoints = min(len(query), len(candidate))
    if _same_image(query, candidate):  # repeated texture, such as tiles, has no clear matches even with itself
        still = np.eye(3) if intrinsics is not None else None
        return Geometry(
            keypoints, keypoints, keypoints, "homography", still, None, "the same key points: the same image"
        )
    pairs = match_keypoints(query, candidate)
    here, there = query.xy[pairs[:, 0]].astype(np.float64), candidate.xy[pairs[:, 1]].astype(np.float64)
    found = [fit_homography(_scaled(here, query), _scaled(there, candidate))]
    found.append(fit_fundamental(_scaled(here, query), _scaled(there, candidate)))
    counts = [int(mask.sum()) for mask in found]
    if not any(counts):
        return Geometry(0, len(pairs), keypoints, why=f"nothing rigid explains the {len(pairs)} matches")
    best = int(counts[0] < _PLANE_SHARE * counts[1])
    model: Model = "fundamental" if best else "homography"
    why = f"{counts[best]} of {len(pairs)} matches fit a {model}"
    if intrinsics is None:
        return Geometry(counts[best], len(pairs), keypoints, model, why=why)
    inside = found[best]
    bearings = (
        intrinsics.bearings(here[inside], 1.0),
        intrinsics.bearings(there[inside], candidate.longest_side / query.longest_side),
    )
    pixel = query.longest_side / LONGEST_SIDE / math.sqrt(intrinsics.fx * intrinsics.fy)
    pose = relative_pose(*bearings, pixel, model)
    return Geometry(counts[best], len(pairs), keypoints, pose.model, pose.rotation, pose.direction, why + pose.why)


def match_keypoints(query: Keypoints, candidate: Keypoints) -> NDArray[np.int64]:
    """Pairs of rows int64 [m, 2], best first: each the other's nearest, clearly nearer than the second, no position used twice."""
    if len(query) < 2 or len(candidate) < 2:
        return np.empty((0, 2), np.int64)
    distances = _squared_distances(_vectors(query), _vectors(candidate))
    rows = np.arange(len(query))
    nearest, mutual = distances.argmin(axis=1), distances.argmin(axis=0)
    best = distances[rows, nearest]
    distances[rows, nearest] = np.inf
    second = distances.min(axis=1)
    limit = RATIO**2 if query.kind == "sift" else RATIO  # a Hamming distance is taken as it is
    chosen = np.flatnonzero((best < limit * second) & (mutual[nearest] == rows))
    chosen = chosen[np.argsort(best[chosen], kind="stable")]
    pairs = np.column_stack([chosen, nearest[chosen]]).astype(np.int64)
    # SIFT describes one spot once for each of its orientations; counted twice, a spot would be its own witness.
    for side, points in enumerate((query, candidate)):
        spots = np.round(points.xy[pairs[:, side]] * (LONGEST_SIDE / points.longest_side))
        pairs = pairs[np.sort(np.unique(spots, axis=0, return_index=True)[1])]
    return pairs


def fit_homography(here: Points, there: Points) -> NDArray[np.bool_]:
    """Which of the matched points [m, 2] one homography explains."""
    return _robust(
        lambda: cv2.findHomography(
            here, there, cv2.USAC_MAGSAC, HOMOGRAPHY_PIXELS, maxIters=ITERATIONS, confidence=CONFIDENCE
        ),
        len(here),
        _LEAST_HOMOGRAPHY,
    )


def fit_fundamental(here: Points, there: Points) -> NDArray[np.bool_]:
    """Which of the matched points [m, 2] one fundamental matrix explains."""
    return _robust(
        lambda: cv2.findFundamentalMat(here, there, cv2.USAC_MAGSAC, EPIPOLAR_PIXELS, CONFIDENCE, ITERATIONS),
        len(here),
        _LEAST_EPIPOLAR,
    )


def _robust(fit: Any, count: int, least: int) -> NDArray[np.bool_]:
    none = np.zeros(count, np.bool_)
    if count < least:
        return none
    try:
        model, mask = fit()
    except cv2.error:  # OpenCV 5 asserts, rather than finds nothing, on some degenerate sets of points
        return none
    if model is None or mask is None:
        return none
    inside = mask.ravel().astype(np.bool_)
    return inside if inside.sum() >= least else none


def _vectors(points: Keypoints) -> NDArray[np.float32]:
    """Descriptors as float32 [k, 128] or, of ORB, their bits [k, 256]."""
    descriptors = np.unpackbits(points.descriptors, axis=1) if points.kind == "orb" else points.descriptors
    return descriptors.astype(np.float32)


def _squared_distances(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 [n, m]. Sums of at most 128 products of bytes stay below 2^24: exact in single precision, whatever the order of summation.
    OpenCV's product, because numpy's starts threads that wait for each other where a robot has its processors in use."""
    squares = np.einsum("ij,ij->i", one, one)[:, None] + np.einsum("ij,ij->i", other, other)
    return np.asarray(cv2.gemm(one, other, -2.0, squares, 1.0, flags=cv2.GEMM_2_T), np.float32)


def _same_image(one: Keypoints, other: Keypoints) -> bool:
    return len(one) > 0 and np.array_equal(one.xy, other.xy) and np.array_equal(one.descriptors, other.descriptors)


def _scaled(xy: Points, of: Keypoints) -> Points:
    """To the scale in which the tolerances are meant."""
    return np.asarray((xy + 0.5) * (LONGEST_SIDE / of.longest_side))
