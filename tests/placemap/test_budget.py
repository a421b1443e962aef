"""Budgets: on real descriptors, what is promised is what the index then does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vpr_aesvc.backbones import open_backbone
from vpr_aesvc.errors import VprError
from vpr_aesvc.extraction import extract
from vpr_aesvc.inputs import open_input
from vpr_aesvc.placemap.budget import Budget, Plan, choose, sample_queries, survey
from vpr_aesvc.placemap.index import PlaceIndex
from vpr_aesvc.projections.artifact import unit
from vpr_aesvc.projections.data import TrainingData
from vpr_aesvc.projections.linear import whitening

SIZES = (32, 64, 128)


@pytest.fixture(scope="module")
def described(clips_folder: Path, encoder: Path) -> np.ndarray:
    """Real descriptors float16 [1253, 256]: more than a funnel needs."""
    frames = open_input(clips_folder).split("database").frames
    seen = extract(open_backbone(str(encoder)), frames).embeddings
    return unit(whitening(TrainingData.of(seen), 0.15)(seen)[:, :256]).astype(np.float16)


@pytest.fixture(scope="module")
def plans(described: np.ndarray) -> list[Plan]:
    return survey(described, SIZES, sample_queries(described))


def test_queries_resemble_their_places_as_another_visit_does(described: np.ndarray) -> None:
    queries = sample_queries(described)
    best = (queries @ described.astype(np.float32).T).max(1)
    assert queries.shape == (500, 256) and np.allclose(np.linalg.norm(queries, axis=1), 1, atol=1e-3)
    assert best.min() > 0.29 and best.max() < 0.9  # not the places themselves


def test_a_plan_tells_the_truth(described: np.ndarray, plans: list[Plan]) -> None:
    queries = sample_queries(described)
    full = next(one for one in plans if one.size == 256 and one.precision == "fp16" and one.shortlist is None)
    assert full.recall == 1.0 and full.mb == pytest.approx(1253 * 512 / 1e6)
    right = (queries @ unit(described).T).argmax(1)
    for one in plans:
        index = PlaceIndex(256, one.size, one.precision)
        index.add(described)
        exact = one.shortlist is None
        found = index.search(queries, 1, exact=exact, shortlist=one.shortlist)[1][:, 0]
        assert (found == right).mean() == pytest.approx(one.recall, abs=0.005)  # ties
        assert index.nbytes / 1e6 == pytest.approx(one.mb)


def test_more_memory_never_finds_less(plans: list[Plan]) -> None:
    found = [choose(plans, Budget(mb=mb)) for mb in (0.05, 0.1, 0.2, 0.4, 0.8)]
    assert all(one.mb <= mb for one, mb in zip(found, (0.05, 0.1, 0.2, 0.4, 0.8), strict=True))
    assert [one.recall for one in found] == sorted(one.recall for one in found)
    assert found[0].recall < 0.9 < found[-1].recall


def test_nothing_fits_says_what_would(plans: list[Plan]) -> None:
    with pytest.raises(VprError, match=r"nothing fits 0.001 MB .* closest plan, size 32 in int8, exact: .* 0\.0401 MB"):
        choose(plans, Budget(mb=0.001))


def test_what_is_chosen_and_said() -> None:
    slow, quick = Plan(256, "fp16", None, 9.0, 51.2, 1.0), Plan(64, "fp16", 200, 0.4, 12.0, 0.992)
    assert choose([slow, quick], Budget()) is slow and choose([slow, quick], Budget(ms=1)) is quick
    assert str(quick) == (
        "size 64 in fp16, shortlist 200: 0.4 ms, 12 MB, finds the same place as the full search for 99.2 % of queries"
    )
    with pytest.raises(
        VprError, match="nothing fits 1 ms and 5 MB on this map; raise the limits to those of the closest plan, size 64"
    ):
        choose([slow, quick], Budget(ms=1, mb=5))
