"""What recognition learns from the places of a map: the contents of ``LearnedModels``, as stored in the map."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.recognition.geometry.inlier_model import learn_inlier_model, sample_queries
from vpr_aesvc.recognition.geometry.local_features import StoredKeypoints
from vpr_aesvc.recognition.map_snapshot import MapSnapshot
from vpr_aesvc.recognition.row_sets import union
from vpr_aesvc.recognition.sequence.likelihood import learn_similarity_likelihood
from vpr_aesvc.recognition.similarity.leave_out import leave_neighborhood_out
from vpr_aesvc.recognition.similarity.null_model import NullModel
from vpr_aesvc.recognition.similarity.sampled import StoredDescriptors, most_similar
from vpr_aesvc.types import Floats, Rows

Parameters = dict[str, Any]
Step = Callable[[float], None]
"""Called often with the part of the work that is done, 0 to 1; may raise to end it."""
_TRAVERSE_OFFSET = 1e6  # separates traverses where places have no positions
_COMPARED = 10  # places of each kind for which a query of a large map has key points
_FAR = 20.0  # meters, or places along a traverse: from here on two places show nothing of each other


def learn_similarities(snapshot: MapSnapshot, step: Step) -> Parameters:
    """Null model and similarity likelihood."""
    kept = snapshot.neighborhoods.kept  # without the repeats of a robot that stood still
    likelihood = learn_similarity_likelihood(
        snapshot.neighborhoods.descriptors, snapshot.traverses[kept], lambda part: step(part / 3)
    )
    result = leave_neighborhood_out(snapshot.neighborhoods, lambda part: step((1 + 2 * part) / 3))
    null = NullModel.fit(snapshot.neighborhoods, result)
    return {"null": null.model_dump(by_alias=True), "evidence": asdict(likelihood)}


def learn_inliers(snapshot: MapSnapshot, place_map: PlaceMap, step: Step) -> Parameters:
    """Inlier model; empty if the map is too small for one."""
    kept = snapshot.neighborhoods.kept
    positions, far = np.column_stack([snapshot.runs[kept] * _TRAVERSE_OFFSET, np.arange(len(kept))]), _FAR
    if snapshot.positions is not None:  # in a flat of 10 m no two places are 20 m apart
        diagonal = np.nanmax(snapshot.positions, axis=0) - np.nanmin(snapshot.positions, axis=0)
        positions, far = snapshot.positions[kept], min(_FAR, float(np.linalg.norm(diagonal)) / 2)
    descriptors, queries, rows = snapshot.neighborhoods.descriptors, sample_queries(len(kept)), np.arange(len(kept))
    if isinstance(descriptors, StoredDescriptors):
        rows = _compared_rows(descriptors, queries, positions, far)
        descriptors = descriptors[rows]
    keypoints = StoredKeypoints(place_map)  # not the recognizer's, which another thread may be using
    keypoints.ids = snapshot.ids[kept[rows]]
    model = learn_inlier_model(keypoints, descriptors, positions[rows], far, step, np.searchsorted(rows, queries))
    return {} if model is None else asdict(model)


def _compared_rows(descriptors: StoredDescriptors, queries: Rows, positions: Floats, far: float) -> Rows:
    """The queries and the rows that may be compared with them: the most similar near ones and the most similar far ones."""
    rows = [queries]
    for row in queries:
        found = descriptors.similarities(descriptors[np.array([row])][0])
        distance = np.linalg.norm(positions[found.rows] - positions[row], axis=1)
        for wanted in (distance < far, distance >= far):
            rows.append(found.rows[wanted][most_similar(found.values[wanted], _COMPARED)])
    return union(*rows)
