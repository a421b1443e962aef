"""Search through FAISS: exact equals numpy, the funnel nearly always, and what is not allowed never comes back."""

from __future__ import annotations

import numpy as np
import pytest

from vpr_aesvc.placemap.descriptor_store import DescriptorStore
from vpr_aesvc.placemap.index import FUNNEL_FROM, PlaceIndex, SizedIndex
from vpr_aesvc.projections.artifact import prefix, unit

DIM = 64


def drawn(rows: int, dim: int = DIM, seed: int = 0) -> np.ndarray:
    """Unit vectors whose components matter less and less; float16, as a map stores them."""
    spread = np.linspace(1.5, 0.6, dim, dtype=np.float32)
    return unit(np.random.default_rng(seed).standard_normal((rows, dim), np.float32) * spread).astype(np.float16)


def visits(places: np.ndarray, count: int, seed: int = 1) -> np.ndarray:
    """Some resemble a place, some hardly."""
    random = np.random.default_rng(seed)
    similarity = random.uniform(0.2, 0.9, (count, 1)).astype(np.float32)
    seen = unit(places[random.integers(0, len(places), count)])
    return unit(similarity * seen + np.sqrt(1 - similarity**2) * unit(drawn(count, places.shape[1], seed + 1)))


def brute_force(
    places: np.ndarray, queries: np.ndarray, k: int, size: int, allowed: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    found = prefix(queries, size) @ prefix(places, size).T
    if allowed is not None:
        found[:, ~allowed] = -np.inf
    rows = np.argsort(-found, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(found, rows, 1), rows


def index_over(places: np.ndarray) -> PlaceIndex:
    index = PlaceIndex(places.shape[1])
    index.add(places)
    return index


@pytest.mark.parametrize("size", [None, DIM, 32, 17, 8, 1])
@pytest.mark.parametrize("part", [1.0, 0.5, 0.01])
def test_exact_search_is_brute_force_over_what_is_allowed(size: int | None, part: float) -> None:
    places = drawn(3000)
    queries = visits(places, 200)
    allowed = np.random.default_rng(3).random(3000) < part
    similarities, rows = index_over(places).search(queries, 10, size, allowed=allowed, exact=True)
    expected, _ = brute_force(places, queries, 10, size or DIM, allowed)
    assert similarities.dtype == np.float32 and rows.dtype == np.int64
    assert np.abs(similarities - expected).max() < 1e-5
    assert allowed[rows].all() and all(len(set(one)) == 10 for one in rows)
    at = np.take_along_axis(prefix(queries, size or DIM) @ prefix(places, size or DIM).T, rows, 1)
    assert np.abs(at - similarities).max() < 1e-5  # each similarity is that of its row


@pytest.mark.parametrize("part", [1.0, 0.5, 0.01])
def test_the_funnel_leaves_out_what_is_not_allowed_and_still_finds_k(part: float) -> None:
    places = drawn(6000)
    queries = visits(places, 200)
    allowed = np.random.default_rng(3).random(len(places)) < part
    similarities, rows = index_over(places).search(queries, 10, allowed=allowed, exact=False)
    _, best = brute_force(places, queries, 10, DIM, allowed)
    assert allowed[rows].all() and (np.diff(similarities, axis=1) <= 0).all()
    assert (rows[:, 0] == best[:, 0]).mean() >= 0.995
    assert np.abs(similarities - np.take_along_axis(queries @ unit(places).T, rows, 1)).max() < 1e-5


def test_the_best_are_excluded_before_not_after_the_choice() -> None:
    """A thousand frames of standing still: whoever filters the best 1,000 finds nothing."""
    places = np.concatenate([drawn(4000), np.repeat(drawn(1, seed=9), 1100, 0)])
    query = unit(drawn(1, seed=9))
    allowed = np.arange(len(places)) < 4000
    for exact in (True, False):
        similarities, rows = index_over(places).search(query, 5, allowed=allowed, exact=exact, shortlist=200)
        assert (rows < 4000).all() and np.isfinite(similarities).all()


@pytest.mark.parametrize("exact", [True, False])
def test_fewer_allowed_than_asked_for(exact: bool) -> None:
    places = drawn(2000)
    allowed = np.zeros(2000, bool)
    allowed[[7, 1500]] = True
    index = index_over(places)
    similarities, rows = index.search(unit(places[7:8]), 4, allowed=allowed, exact=exact)
    assert rows.tolist() == [[7, 1500, -1, -1]] and similarities[0, 2:].tolist() == [-np.inf, -np.inf]
    assert similarities[0, 0] == pytest.approx(1, abs=1e-5)
    _, rows = index.search(unit(places[:1]), 4, allowed=np.zeros(2000, bool), exact=exact)
    assert rows.tolist() == [[-1, -1, -1, -1]]


def test_places_come_one_at_a_time() -> None:
    """The same as at once, through the first training of the codes and the next, with searches between."""
    places = drawn(4200)
    queries = visits(places, 100)
    index = PlaceIndex(DIM)
    for at, place in enumerate(places):
        index.add(place[None])
        if at in (10, 1500, 4100):
            similarities, rows = index.search(unit(place[None]), 1, shortlist=200)
            assert rows[0, 0] == at and similarities[0, 0] == pytest.approx(1, abs=1e-5)
    for exact, size in ((True, DIM), (True, 16), (False, DIM)):
        ours, peer = (
            index.search(queries, 5, size, exact=exact),
            index_over(places).search(queries, 5, size, exact=exact),
        )
        assert (ours[1][:, 0] == peer[1][:, 0]).mean() >= 0.99 and len(index) == 4200


def test_each_place_is_coded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adding a place does not code or train all others again."""
    index = index_over(drawn(2000))
    index.search(drawn(1), 1, shortlist=10)
    funnel = index._funnel(DIM)
    decoded, take = [], DescriptorStore.__getitem__

    def count(store: DescriptorStore, rows: slice) -> np.ndarray:
        found = take(store, rows)
        decoded.append(len(found))
        return found

    monkeypatch.setattr(DescriptorStore, "__getitem__", count)
    for _ in range(400):
        index.add(drawn(1))
        index.search(drawn(1), 1, shortlist=10)
    assert decoded == [1] * 400 and funnel._codes.ntotal == len(index) == 2400


def test_half_precision_is_kept_to_the_bit() -> None:
    places = drawn(100)
    assert np.array_equal(index_over(places)._store[0:100], places.astype(np.float32))


def test_memory_is_counted_and_small() -> None:
    index = index_over(drawn(5000, 256))
    assert index.nbytes == 5000 * 512
    index.search(drawn(1, 256), 1, exact=False)
    assert index.nbytes <= 5000 * 600
    index.search(drawn(1, 256), 1, 64, exact=True)


def test_empty_and_wrong() -> None:
    index = PlaceIndex(DIM)
    similarities, rows = index.search(drawn(2), 5)
    assert similarities.shape == rows.shape == (2, 0)
    index.add(drawn(10))
    assert index.search(drawn(1), 50)[1].shape == (1, 10)
    with pytest.raises(ValueError, match=r"\[n, 64\]"):
        index.add(drawn(3, 32))
    with pytest.raises(ValueError, match="mask of 10 rows"):
        index.search(drawn(1), 1, allowed=np.ones(9, bool))
    with pytest.raises(ValueError, match="size 65"):
        index.search(drawn(1), 1, 65)


def test_sized_index_over_a_fixed_array() -> None:
    places = drawn(500)
    queries = visits(places, 20)
    similarities, rows = SizedIndex(places).search(queries, 3, 16)
    expected, best = brute_force(places, queries, 3, 16)
    assert np.abs(similarities - expected).max() < 1e-5 and (rows[:, 0] == best[:, 0]).all()


def test_codes_are_made_a_piece_at_a_time_while_the_exact_search_answers():
    """No query waits for the whole work, and every answer on the way is the full ranking's."""
    places = drawn(FUNNEL_FROM + 5000)
    index, queries = index_over(places), drawn(60, seed=3)
    assert index.search(queries[:1], 1)[1].shape == (1, 1)
    assert index.nbytes == len(index) * index.dim * 2  # the first answer made no codes
    answers = [index.search(query[None], 1)[1][0, 0] for query in queries]
    assert index.nbytes > len(index) * index.dim * 2.2  # by now they are there
    right = index.search(queries, 1, exact=True)[1][:, 0]
    assert np.mean(np.array(answers) == right) >= 0.99
    index.add(places[:50])
    assert index.search(places[3:4], 2)[1][0].tolist() in ([3, len(places) + 3], [len(places) + 3, 3])
