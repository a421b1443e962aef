"""Which encoder, method and size to use: the rule, against counting by hand on real images."""

import json
from dataclasses import replace

import numpy as np
import pytest

from vpr_aesvc.backbones import open_backbone
from vpr_aesvc.backbones.given import GivenEmbeddings
from vpr_aesvc.evaluation.bench import bench
from vpr_aesvc.evaluation.benchmark_files import write_benchmark
from vpr_aesvc.evaluation.recommendation import TIMING_NOISE, recommend
from vpr_aesvc.evaluation.results import pareto_front
from vpr_aesvc.extraction import extract
from vpr_aesvc.inputs import open_input

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def runs(clips_folder):
    """HOG, and its own embeddings with noise as those of another encoder, whose time is unknown."""
    frames = open_input(clips_folder)
    some = replace(frames, frames=frames.split("database").frames[::3] + frames.split("query").frames[::2])
    hog = open_backbone("hog")
    table = extract(hog, some.frames).embeddings
    noisy = table + 0.001 * np.random.default_rng(0).standard_normal(table.shape, np.float32)
    given = GivenEmbeddings(hog.dim, noisy, {frame.label: row for row, frame in enumerate(some.frames)}, "elsewhere")
    methods, sizes = ("raw", "pca"), (16, 64, 256)
    return [bench(some, "tower", one, methods, sizes, encoder=name) for one, name in ((hog, "hog"), (given, "given"))]


@pytest.fixture(scope="module")
def written(runs, tmp_path_factory):
    out = tmp_path_factory.mktemp("bench") / "out"
    return write_benchmark(runs, "tower", out), out


def test_the_fastest_then_the_smallest_within_one_standard_error(runs):
    advice = recommend(runs)
    results = [one for run in runs for one in run.evaluation.results]
    queries = int((runs[0].task.positives.counts > 0).sum())
    best = max(one.recall[1] for one in results)
    error = (best * (1 - best) / queries) ** 0.5
    assert advice.best.recall[1] == best and advice.error == pytest.approx(error)
    within = [one for one in results if one.recall[1] >= best - error - 1e-9]
    assert advice.use in within and advice.use.encoder == "hog"  # the time of the other is unknown
    rivals = [one for one in within if one.frame_ms is not None and one.frame_ms <= TIMING_NOISE * advice.use.frame_ms]
    assert advice.use.bytes_per_place == min(one.bytes_per_place for one in rivals)
    assert 0 < advice.same <= advice.same_encoder <= 1
    text = " ".join(advice.sentences())
    assert text.startswith(f"Use hog with {advice.use.method}, {advice.use.size} numbers") and " ms for a frame" in text
    assert advice.recognize_ms > 0 and advice.map_bytes > advice.places * advice.use.bytes_per_place


def test_an_encoder_of_unknown_time_is_used_where_it_is_clearly_better(runs):
    hog, given = runs
    worse = replace(
        hog,
        evaluation=replace(
            hog.evaluation,
            best={key: replace(one, rows=np.roll(one.rows, 60)) for key, one in hog.evaluation.best.items()},
        ),
    )
    assert recommend([worse, given]).use.encoder == "given"


def test_one_page_with_one_recommendation(runs, written):
    report, out = written
    page = (out / "report.html").read_text()
    assert page.count('class="use"') == 1 and report.advice[0] in page
    assert "Results of hog" in page and "Results of given" in page
    use = json.loads((out / "results.json").read_text())["use"]
    assert use == {"encoder": "hog", "method": report.use.method, "size": report.use.size}
    assert {path.stem for path in (out / "figures").iterdir()} == {
        "recall_against_bytes",
        "recall_against_size",
        "map_against_size",
        "precision_recall",
        "cosines",
    }  # only one encoder has a time, so times span noise only


def test_standardized_cosines_have_one_axis(written):
    report, _ = written
    assert set(report.cosines) == {"raw", "PCA"}
    for same, different in report.cosines.values():
        assert different.mean() == pytest.approx(0, abs=1e-6) and different.std() == pytest.approx(1)
        assert same.mean() > 0.3


def test_the_front_is_what_no_other_beats(runs):
    results = [one for run in runs for one in run.evaluation.results]
    front = pareto_front(results, "bytes_per_place")
    for one in results:
        beaten = any(
            other.bytes_per_place <= one.bytes_per_place and other.recall[1] > one.recall[1] for other in results
        )
        assert not (one in front and beaten)
        assert beaten or any(
            other.bytes_per_place <= one.bytes_per_place and other.recall[1] == one.recall[1] for other in front
        )


def test_few_queries_recommend_nothing(drawn):
    frames = open_input(drawn)
    assert recommend([bench(frames, "few", open_backbone("hog"), ("raw",))]) is None


def test_a_set_in_which_every_place_is_right_is_reported(drawn, tmp_path):
    frames = open_input(drawn)
    same = tuple(replace(frame, category="here", pose=None, sequence="", index=None) for frame in frames.frames)
    run = bench(replace(frames, frames=same), "one place", open_backbone("hog"), ("raw", "pca"), (16,))
    report = write_benchmark([run], "one place", tmp_path / "out")
    assert report.cosines == {} and {one.recall[1] for one in report.results} == {1.0}
