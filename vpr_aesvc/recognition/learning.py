"""What recognition learns from the places of a map: the contents of ``LearnedModels``, as stored in the map."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.recognition.geometry.inlier_model import learn_inlier_model
from vpr_aesvc.recognition.geometry.local_features import StoredKeypoints
from vpr_aesvc.recognition.map_snapshot import MapSnapshot
from vpr_aesvc.recognition.sequence.likelihood import learn_similarity_likelihood
from vpr_aesvc.recognition.similarity.leave_out import leave_neighborhood_out
from vpr_aesvc.recognition.similarity.null_model import NullModel

Parameters = dict[str, Any]
Step = Callable[[float], None]
"""Called often with the part of the work that is done, 0 to 1; may raise to end it."""
_TRAVERSE_OFFSET = 1e6  # separates traverses where places have no positions
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
    keypoints = StoredKeypoints(place_map)  # not the recognizer's, which another thread may be using
    keypoints.ids = snapshot.ids[kept]
    positions, far = np.column_stack([snapshot.runs[kept] * _TRAVERSE_OFFSET, np.arange(len(kept))]), _FAR
    if snapshot.positions is not None:  # in a flat of 10 m no two places are 20 m apart
        diagonal = np.nanmax(snapshot.positions, axis=0) - np.nanmin(snapshot.positions, axis=0)
        positions, far = snapshot.positions[kept], min(_FAR, float(np.linalg.norm(diagonal)) / 2)
    model = learn_inlier_model(keypoints, snapshot.descriptors[kept], positions, far, step)
    return {} if model is None else asdict(model)
