"""What recognition learns from the places of a map: the contents of ``LearnedModels``, as stored in the map."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from vpr_aesvc.placemap.interface import OpenMap
from vpr_aesvc.recognition.geometry.local_features import StoredKeypoints
from vpr_aesvc.recognition.map_snapshot import MapSnapshot
from vpr_aesvc.recognition.match_model import MatchModel
from vpr_aesvc.recognition.matching import CandidateMatcher
from vpr_aesvc.recognition.patches.projection import PatchProjection
from vpr_aesvc.recognition.patches.stored import StoredPatches
from vpr_aesvc.recognition.sequence.bayes_filter import SequenceSettings
from vpr_aesvc.recognition.sequence.likelihood import SimilarityLikelihood, learn_similarity_likelihood
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.recognition.similarity.leave_out import leave_neighborhood_out
from vpr_aesvc.recognition.similarity.null_model import NullModel
from vpr_aesvc.recognition.simulated_runs import simulate_runs

Parameters = dict[str, Any]
Step = Callable[[float], None]
"""Called often with the part of the work that is done, 0 to 1; may raise to end it."""


def learn_similarities(snapshot: MapSnapshot, step: Step) -> Parameters:
    """Null model and similarity likelihood."""
    kept = snapshot.neighborhoods.kept  # without the repeats of a robot that stood still
    likelihood = learn_similarity_likelihood(
        snapshot.neighborhoods.descriptors, snapshot.traverses[kept], lambda part: step(part / 3)
    )
    result = leave_neighborhood_out(snapshot.neighborhoods, lambda part: step((1 + 2 * part) / 3))
    null = NullModel.fit(snapshot.neighborhoods, result)
    return {"null": null.model_dump(by_alias=True), "evidence": asdict(likelihood)}


def learn_matches(
    snapshot: MapSnapshot, place_map: OpenMap, likelihood: SimilarityLikelihood, step: Step
) -> Parameters:
    """Match model."""
    keypoints = StoredKeypoints(place_map)  # not the recognizer's, which another thread may be using
    keypoints.ids = snapshot.ids
    projection = PatchProjection.of(place_map)
    patches = None if projection is None else StoredPatches(place_map, projection)
    if patches is not None:
        patches.ids = snapshot.ids
    matcher = CandidateMatcher(snapshot, RecognizerSettings(), keypoints, patches, SequenceSettings().window)
    return MatchModel.learn(list(simulate_runs(snapshot, matcher, likelihood, step))).model_dump()
