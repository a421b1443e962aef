"""Shards of embeddings: whole or absent, the same from every engine, and a fit from them is the fit from one array."""

import signal
import threading
from dataclasses import replace
from importlib.util import find_spec
from itertools import pairwise

import numpy as np
import pytest

from tests.command import refused, vpr
from vpr_aesvc import Describer, Ray, Shards, VprError, open_backbone, open_input, sharding
from vpr_aesvc.backbones.given import read_embeddings
from vpr_aesvc.backbones.shards import Part, ShardsManifest, shard_path, write_shard
from vpr_aesvc.evaluation import evaluate
from vpr_aesvc.evaluation.bench import bench
from vpr_aesvc.extraction import extract as extract_in_memory
from vpr_aesvc.projections import data as training_data
from vpr_aesvc.projections import linear
from vpr_aesvc.projections.artifact import unit
from vpr_aesvc.projections.data import TrainingData
from vpr_aesvc.projections.fit import fit
from vpr_aesvc.projections.moments import Moments
from vpr_aesvc.training import train
from vpr_aesvc.types import Frame


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(sharding, "SHARD", 8)


@pytest.fixture(scope="module")
def shards(drawn, tmp_path_factory):
    """The drawn street, 40 database and 12 query images, in 5 and 1 shards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sharding, "SHARD", 8)
        folder = tmp_path_factory.mktemp("shards") / "street"
        return sharding.extract(open_input(drawn).frames, open_backbone("hog"), folder)


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_shards_hold_what_an_extraction_in_memory_gives(drawn, shards):
    frames = open_input(drawn).frames
    database = open_input(drawn).split("database").frames
    whole = extract_in_memory(open_backbone("hog"), database, 2)
    assert [part.split for part in shards.manifest.shards] == ["database"] * 5 + ["query"]
    assert len(shards) == len(frames) and len(Shards(shards.path, "database")) == len(database)
    assert np.array_equal(shards[:40], unit(whole.embeddings))
    assert np.array_equal(shards[[7, 45, 8, 3]], shards[:][[7, 45, 8, 3]])
    views, rows = shards.views()
    assert np.array_equal(views, unit(whole.views)) and np.array_equal(rows, whole.view_rows)
    read = shards.frames(np.array([0, 9, 50]))
    for one, row in zip(read, (0, 9, 50), strict=True):
        kept = [frame for split in ("database", "query") for frame in frames if frame.split == split][row]
        assert (one.label, one.pose, one.stamp, one.split) == (kept.label, kept.pose, kept.stamp, kept.split)


def test_an_interrupted_run_goes_on_where_it_was(drawn, shards, tmp_path):
    class Stops:
        """An engine that is interrupted in the third shard."""

        def run(self, backbone, jobs):
            for at, job in enumerate(jobs):
                if at == 2:
                    raise KeyboardInterrupt
                yield job.run(backbone)

    frames, folder, done = open_input(drawn).frames, tmp_path / "s", []
    with pytest.raises(KeyboardInterrupt):
        sharding.extract(frames, open_backbone("hog"), folder, Stops())
    with pytest.raises(VprError, match="4 of 6 shards are missing; run the same `vpr extract` again"):
        Shards(folder)
    (folder / ".00002.safetensors.1.partial").write_bytes(b"torn by a kill")
    sharding.extract(frames, open_backbone("hog"), folder, progress=lambda *now: done.append(now))
    assert done[0] == (8, 36) and done[-1] == (36, 36)
    assert content(folder) == content(shards.path)
    with pytest.raises(VprError, match="holds shards of another input, encoder or version"):
        sharding.extract(frames, open_backbone("hog"), folder, seed=1)
    with pytest.raises(VprError, match="exists already"):
        sharding.extract(frames, open_backbone("hog"), drawn)


def test_damaged_shards_are_named(shards, tmp_path):
    for name, data in content(shards.path).items():
        (tmp_path / name).write_bytes(data)
    path = tmp_path / "00003.safetensors"
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(VprError, match=r"00003.safetensors: the shard is damaged .* delete it and run the same"):
        Shards(tmp_path)
    (tmp_path / "shards.json").write_text("{}")
    with pytest.raises(VprError, match=r"shards.json: cannot be read"):
        Shards(tmp_path)


def test_the_commands(drawn, shards, tmp_path):
    """`vpr extract` gives shards that `vpr train` takes; the model describes images and searches a map made from the same shards."""
    assert vpr("extract", drawn, "-o", tmp_path / "s").returncode == 0
    trained = vpr("train", tmp_path / "s", "-o", tmp_path / "model", "--method", "aesvc")
    assert trained.returncode == 0, trained.stderr
    for option in (("--backbone", "hog"), ("--keyframe-meters", "3"), ("--embeddings", tmp_path / "s")):
        refused(
            vpr("train", tmp_path / "s", "-o", tmp_path / "other", *option),
            "shards hold embeddings; leave out --backbone",
        )
    direct = train(open_input(drawn), open_backbone("hog"), tmp_path / "direct", method="aesvc")
    images = [frame.path for frame in open_input(drawn).frames[::9]]
    opened = Describer.open(tmp_path / "model")
    rows = open_backbone("hog").embed(extract_images(images))
    assert opened.trained.training.images == 40 and opened.trained.backbone.spec == "hog"
    cosines = [model.projection(rows) @ model.projection(rows).T for model in (opened, direct)]
    assert np.abs(cosines[0] - cosines[1]).max() < 1e-6
    built = vpr(
        "map", "build", drawn, "-m", tmp_path / "model", "-o", tmp_path / "m.vprmap", "--embeddings", tmp_path / "s"
    )
    assert built.returncode == 0, built.stderr
    if find_spec("ray") is None:
        refused(vpr("extract", drawn, "-o", tmp_path / "r", "--ray", "local"), "--ray needs ray: pip install ray")


def extract_images(paths):
    from vpr_aesvc.images import read_image

    return [read_image(path) for path in paths]


def write_many(folder, rows, views, view_rows, parts):
    """The rows as a folder of so many shards."""
    bounds = np.linspace(0, len(rows), parts + 1).astype(int)
    made = ShardsManifest(
        spec="hog",
        fingerprint="0" * 16,
        preprocessing="",
        dim=rows.shape[1],
        views=1,
        seed=0,
        input="",
        shards=[Part(split=None, frames=int(size)) for size in np.diff(bounds)],
    )
    folder.mkdir()
    (folder / "shards.json").write_text(made.model_dump_json())
    for at, (first, end) in enumerate(pairwise(bounds)):
        moments, own = Moments.of(rows[first:end]), (view_rows >= first) & (view_rows < end)
        write_shard(
            shard_path(folder, at),
            [Frame(str(row), sequence="s", index=float(row)) for row in range(first, end)],
            [],
            embeddings=rows[first:end],
            views=views[own],
            view_rows=view_rows[own] - first,
            mean=moments.mean,
            covariance=moments.covariance,
        )
    return Shards(folder)


def test_a_fit_from_100_shards_is_the_fit_from_one_array(tmp_path, monkeypatch):
    """Both with more rows than are kept in memory."""
    pytest.importorskip("torch")
    monkeypatch.setattr(training_data, "MAX_ROWS", 600)
    random = np.random.default_rng(0)
    steps = random.standard_normal((2500, 24)).cumsum(0) * np.geomspace(1, 0.02, 24)
    raw = np.float32(steps + 3 * random.standard_normal(24) + 0.3 * random.standard_normal(steps.shape))
    rows = unit(raw)
    view_rows = np.arange(3, 2500, 25)
    views = unit(rows[view_rows] + 0.02 * random.standard_normal((len(view_rows), 24)))
    frames = [Frame(str(row), sequence="s", index=float(row)) for row in range(len(rows))]
    shards = write_many(tmp_path / "s", rows, views, view_rows, 100)

    merged = Moments.merged(Moments(*one) for one in shards.moments())
    assert merged.count == 2500 and np.abs(merged.covariance - np.cov(rows.T.astype(float), bias=True)).max() < 1e-14
    split = TrainingData.of(shards, *shards.views(), merged)
    whole = TrainingData.of(raw, views, view_rows)
    assert len(split.embeddings) <= 600 and set(view_rows) <= set(split.sampled)
    assert np.array_equal(split.embeddings[split.view_rows], rows[view_rows])
    results = [
        fit(data, kept, (8,))
        for data, kept in ((split, shards.frames(split.sampled)), (whole, whole.of_sample(frames)))
    ]
    assert results[0].method == results[1].method and results[0].isotropic == results[1].isotropic
    for size in (8, 24):
        described = [unit(one.projection(rows[::50])[:, :size]) for one in results]
        assert np.abs(described[0] @ described[0].T - described[1] @ described[1].T).max() < 1e-6
    sample = linear.whitening(replace(whole, whole=None), 0.1)  # the control: the sample alone gives another whitening
    closed = [linear.whitening(data, 0.1)(rows[::50]) for data in (split, whole)]
    assert np.abs(closed[0] @ closed[0].T - closed[1] @ closed[1].T).max() < 1e-6
    assert np.abs(sample(rows[::50]) @ sample(rows[::50]).T - closed[0] @ closed[0].T).max() > 1e-3


def test_bench_from_shards_in_blocks(drawn, shards, tmp_path, monkeypatch):
    """The scores are those of the embeddings in memory, searched at once; descriptors are in half precision."""
    pytest.importorskip("sklearn")
    frames, results = open_input(drawn), []
    for backbone, block in ((read_embeddings(shards.path, frames.frames), 11), (open_backbone("hog"), 10**6)):
        monkeypatch.setattr(evaluate, "_BLOCK", block)
        run = bench(frames, "street", backbone, ("raw", "aesvc"), (8, 32))
        assert run.protocol["backbone"] == "hog"
        results.append(run.evaluation)
    for one, other in zip(results[0].results, results[1].results, strict=True):
        assert (one.method, one.size, one.recall, one.map_at) == (other.method, other.size, other.recall, other.map_at)
    for key, one in results[0].best.items():
        assert np.array_equal(one.rows, results[1].best[key].rows)
        assert np.allclose(one.similarities, results[1].best[key].similarities, atol=1e-3)


def test_embeddings_of_shards_by_name(drawn, shards):
    frames = open_input(drawn).frames
    given = read_embeddings(shards.path, frames)
    assert (given.spec, given.fingerprint) == ("hog", open_backbone("hog").fingerprint)
    some = [frames[at] for at in (44, 2, 31)]
    assert np.allclose(
        given.look_up(some), unit(open_backbone("hog").embed(extract_images([one.path for one in some])))
    )
    found = extract_in_memory(given, some, 2)
    whole = extract_in_memory(open_backbone("hog"), some[1:], 2)
    assert np.array_equal(found.embeddings[:], given.look_up(some))
    assert np.array_equal(found.views, unit(whole.views)) and found.view_rows.tolist() == [1, 1, 2, 2]


def test_ray_gives_the_same_bytes_also_when_a_worker_is_killed(drawn, shards, tmp_path, monkeypatch):
    ray = pytest.importorskip("ray", reason="needs Ray: pip install '.[ray]'")
    import psutil

    monkeypatch.setenv("RAY_worker_niceness", "0")  # 15 by default, which starves beside other tests

    def kill_a_worker():
        while not ended.wait(0.05):
            for worker in psutil.Process().children(recursive=True):
                if worker.name().startswith("ray::_run"):
                    worker.send_signal(signal.SIGKILL)
                    return killed.append(worker.pid)

    killed, ended = [], threading.Event()
    killer = threading.Thread(target=kill_a_worker)
    killer.start()
    frames = open_input(drawn).frames
    try:
        sharding.extract(frames, open_backbone("hog"), tmp_path / "s", Ray("local"))
    finally:
        ended.set()
        killer.join()
    assert killed and content(tmp_path / "s") == content(shards.path)
    assert not ray.is_initialized()
    with pytest.raises(VprError, match=r"no Ray cluster at 127\.0\.0\.1:1"):
        sharding.extract(frames, open_backbone("hog"), tmp_path / "none", Ray("127.0.0.1:1"))
