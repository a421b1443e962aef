"""Which of the methods of a benchmark makes the map that recognition runs on."""

from __future__ import annotations

from collections.abc import Sequence

from vpr_aesvc.evaluation.methods import Method
from vpr_aesvc.projections import linear
from vpr_aesvc.projections.artifact import unit
from vpr_aesvc.projections.selection import is_harmful
from vpr_aesvc.projections.stages import Stages

_FAITHFUL = ("rotation", "aesvc", "whitening")  # to the AE-SVC latent; at full size the first two have its cosines


def choose_method(methods: Sequence[Method], stages: Stages, dim: int) -> tuple[Method, str]:
    """What the map is made with, and why: the fitted method that is nearest to the AE-SVC latent where that does no harm on held-out
    database frames, else the raw embedding of ``dim`` numbers, as `vpr train` decides. Queries have no say."""
    by_key = {method.key: method for method in methods}
    key = next((key for key in _FAITHFUL if key in by_key), None)
    raw = by_key.get("raw")
    if key is None:
        return raw or methods[0], f"of {', '.join(_FAITHFUL)} none was asked for"
    held_out = stages.held_out
    raw = raw or Method("raw", "raw", {dim: unit}, 0.0)
    if held_out is None:
        return raw, f"{stages.lacking}, and the raw embedding cannot do harm"
    trained = key != "whitening" and stages.steps_help
    trial = stages.trial["aesvc"] if trained else linear.whitening(held_out.data, *stages.shrinkage)
    if is_harmful(held_out, trial, linear.rotated_identity(held_out.data)):
        return raw, f"no projection beat the raw embedding by more than the uncertainty on {held_out.kind}"
    return by_key[key], f"it beat the raw embedding by more than the uncertainty on {held_out.kind}"
