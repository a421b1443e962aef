"""Loop closures that contradict the odometry or each other: pairwise consistency maximization (Mangelson et al., ICRA 2018).

A closure within a traverse forms a cycle with the odometry between its places, and two closures between the same two traverses form one with
the odometry between their ends. A cycle must close within the covariances. The largest set of closures that are all consistent with each other
is kept.
"""

from collections import defaultdict
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.onboard.loop_closure import LoopClosure
from vpr_aesvc.pose_graph.odometry import DrivenPlaces, inverses, matrix_of
from vpr_aesvc.transforms import cross_matrices, rotation_matrix
from vpr_aesvc.types import Floats, Rows

Flags = NDArray[np.bool_]
_CHI_SQUARE = 22.46  # 99.9 % of 6 degrees of freedom
_MOST_STARTS = 100  # of the search for the largest set


def find_conflicts(closures: Sequence[LoopClosure], driven: DrivenPlaces, drift: float) -> list[str]:
    """For each closure why it must be left out; empty where it is consistent. A closure that is alone between two traverses
    is kept. ``closures``: whose places have poses. ``drift``: of the odometry, see ``DrivenPlaces.variances``."""
    reasons = [""] * len(closures)
    groups = defaultdict(list)
    ends = driven.rows([(one.from_place, one.to_place) for one in closures])
    for at, (older, newer) in enumerate(driven.traverses[ends].tolist()):
        if older == newer and not _fits_odometry(closures[at], ends[at], driven, drift):
            reasons[at] = "contradicts the odometry between its places"
        else:
            groups[older, newer].append(at)
    for members in groups.values():
        consistent = _consistent_pairs([closures[at] for at in members], ends[members], driven, drift)
        kept = _largest_clique(consistent)
        for row in np.setdiff1d(np.arange(len(members)), kept) if len(kept) > 1 else range(len(members)):
            against = int((~consistent[row]).sum())
            if against:
                reasons[members[row]] = f"contradicts {against} of the {len(members) - 1} others between its traverses"
    return reasons


def body_covariance(closure: LoopClosure) -> Floats:
    """float64 [6, 6], along and about the axes of the camera at the *newer* place: of an error that follows the relative pose."""
    turn = np.kron(np.eye(2), rotation_matrix(closure.relative_pose).T)
    return np.asarray(turn @ closure.covariance @ turn.T)


def _fits_odometry(closure: LoopClosure, ends: Rows, driven: DrivenPlaces, drift: float) -> bool:
    older, newer = driven.poses[ends]
    cycle = inverses(older @ matrix_of(closure.relative_pose)) @ newer
    transport = _adjoint(cycle)
    odometry = transport * driven.variances(ends[:1], ends[1:], drift) @ transport.T
    return bool(_closes(cycle[None], (body_covariance(closure) + odometry)[None])[0])


def _consistent_pairs(closures: Sequence[LoopClosure], ends: Rows, driven: DrivenPlaces, drift: float) -> Flags:
    """bool [n, n]. ``ends``: int64 [n, 2], rows of the older and the newer place."""
    relative = np.stack([matrix_of(one.relative_pose) for one in closures])
    covariances = np.stack([body_covariance(one) for one in closures])
    older, newer = driven.poses[ends[:, 0]], driven.poses[ends[:, 1]]
    jumps = older @ relative @ inverses(newer)  # where a closure moves the newer traverse
    consistent = np.ones((len(closures),) * 2, np.bool_)
    for row in range(len(closures) - 1):
        others = np.arange(row + 1, len(closures))
        first = np.full(len(others), row)
        back = inverses(older[row] @ relative[row])
        cycle = back @ jumps[others] @ newer[row]
        there = _adjoint(back @ older[others])
        across = there @ _adjoint(relative[others])
        home = _adjoint(cycle)
        total = covariances[row] + across @ covariances[others] @ np.swapaxes(across, 1, 2)
        for path, transport in ((ends[:, 0], there), (ends[:, 1], home)):
            odometry = driven.variances(path[first], path[others], drift)
            total += (transport * odometry[:, None]) @ np.swapaxes(transport, 1, 2)
        consistent[row, others] = consistent[others, row] = _closes(cycle, total)
    return consistent


def _largest_clique(adjacent: Flags) -> Rows:
    """Rows of a large set whose members are all adjacent, ascending. Greedy from the rows with most neighbors, as in Pattabiraman et al. (2015)."""
    best = np.zeros(0, np.int64)
    for start in np.argsort(-adjacent.sum(1), kind="stable")[:_MOST_STARTS]:
        members, candidates = [int(start)], adjacent[start].copy()
        candidates[start] = False
        while candidates.any() and len(members) + candidates.sum() > len(best):
            rows = np.flatnonzero(candidates)
            members.append(int(rows[adjacent[np.ix_(rows, rows)].sum(1).argmax()]))
            candidates &= adjacent[members[-1]]
            candidates[members[-1]] = False
        best = np.sort(members) if len(members) > len(best) else best
    return best


def _adjoint(poses: Floats) -> Floats:
    """float64 [..., 6, 6]: moves an error (translation, rotation) that follows a pose [..., 4, 4] to before it."""
    result = np.zeros((*poses.shape[:-2], 6, 6))
    result[..., :3, :3] = result[..., 3:, 3:] = poses[..., :3, :3]
    result[..., :3, 3:] = cross_matrices(poses[..., :3, 3]) @ poses[..., :3, :3]
    return result


def _closes(cycles: Floats, covariances: Floats) -> Flags:
    """bool [k]: which poses [k, 4, 4] are the identity within their covariances [k, 6, 6]."""
    errors = np.array([[*pose[:3, 3], *cv2.Rodrigues(pose[:3, :3])[0].ravel()] for pose in cycles])
    weighted = np.linalg.solve(covariances, errors[..., None])[..., 0]
    return np.asarray(np.einsum("ki,ki->k", errors, weighted) <= _CHI_SQUARE)
