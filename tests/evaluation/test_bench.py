"""A benchmark from images to files, on real images, and its numbers against counting by hand."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from tests.command import VPR, refused, vpr
from tests.datasets.pitts_shaped import make_pitts_shaped
from vpr_aesvc.backbones import open_backbone
from vpr_aesvc.datasets.catalog import open_dataset
from vpr_aesvc.evaluation.bench import bench
from vpr_aesvc.evaluation.evaluate import RetrievalTask, evaluate
from vpr_aesvc.evaluation.methods import NAMES, fit_methods
from vpr_aesvc.evaluation.summary import methods_summary
from vpr_aesvc.inputs import open_input
from vpr_aesvc.projections.artifact import unit
from vpr_aesvc.projections.data import TrainingData
from vpr_aesvc.projections.stages import Stages

FAST = ("--methods", "raw,pca,aesvc", "--sizes", "16,64")


def numbers(folder):
    """results.json without what may differ between two runs of the same: times."""
    found = json.loads((folder / "results.json").read_text())
    for row in found["results"]:
        del row["seconds"], row["search_ms"], row["describe_ms"]
    found.pop("use")  # it depends on the times
    return found


def brute_force_recall(database, queries, places, asked, k):
    """Recall at k in plain numpy: nothing of the library's. A place is (clip, second)."""
    hits = count = 0
    for query, (clip, second) in zip(queries, asked, strict=True):
        right = np.array([c == clip and abs(s - second) <= 3 for c, s in places])
        if not right.any():
            continue
        best = np.argsort(-(database @ query), kind="stable")[:k]
        hits += bool(right[best].any())
        count += 1
    return hits / count


@pytest.fixture(scope="module")
def both_layouts(clips_folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("pitts")
    return [make_pitts_shaped(root / layout, clips_folder, 240, 60, layout) for layout in ("published", "downloader")]


def test_both_layouts_and_a_killed_run_give_the_same(tmp_path, both_layouts, encoder):
    def run(data, out, cache):
        words = ["bench", "pitts30k", "--data", data, "--backbone", encoder, *FAST, "-o", tmp_path / out]
        return [*map(str, words), "--cache", str(tmp_path / cache)]

    done = vpr(*run(both_layouts[0], "published", "a"))
    assert done.returncode == 0, done.stderr
    assert vpr(*run(both_layouts[1], "downloader", "a")).returncode == 0  # embeddings of the same images
    with subprocess.Popen([*VPR, *run(both_layouts[1], "killed", "c")], stderr=subprocess.DEVNULL) as process:
        data = tmp_path / "c"
        while not (sum(path.stat().st_size for path in data.glob("*/embeddings.f16")) if data.exists() else 0):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "killed").exists()
    kept = sum(path.stat().st_size for path in data.glob("*/embeddings.f16")) // (2 * 576)
    assert 0 < kept < 3 * 240
    again = vpr(*run(both_layouts[1], "again", "c"))
    assert again.returncode == 0, again.stderr

    first, named, again = (numbers(tmp_path / name) for name in ("published", "downloader", "again"))
    assert "UTM zone 17 north" in named["protocol"]["input"] and named == again
    named["protocol"].pop("input")  # only names tell the zone
    assert first == named
    assert first["dataset"] == "pitts30k" and first["protocol"]["queries_without_positives"] == 0
    assert first["protocol"]["positives"] == "within 25 m"


def test_recall_is_what_counting_gives(clips_folder):
    frames = open_input(clips_folder)
    some = replace(frames, frames=frames.split("database").frames[::3] + frames.split("query").frames[::2])
    run = bench(some, "tower", open_backbone("hog"), ("raw", "pca", "whitening"), (16, 64))
    places, asked = ([(f.sequence, f.index) for f in part] for part in (run.database, run.queries))
    assert {(one.method, one.size) for one in run.evaluation.results} == {
        ("raw", 1056),
        *((name, size) for name in ("PCA", "whitening") for size in (16, 64)),
    }
    for method in run.methods:
        for size, describe in method.by_size.items():
            stored = [describe(part).astype(np.float16) for part in (run.task.database, run.task.queries)]
            rows = [unit(part[:, :size]) for part in stored]
            found = next(one for one in run.evaluation.results if (one.method, one.size) == (method.name, size))
            for k in (1, 5, 10):
                by_hand = brute_force_recall(*rows, places, asked, k)
                assert found.recall[k] == pytest.approx(by_hand), (method.name, size, k)
            low, high = found.interval[1]
            assert low <= found.recall[1] <= high


def test_all_that_is_written(tmp_path, drawn):
    out = tmp_path / "out"
    done = vpr("bench", drawn, *FAST, "-o", out, "--cache", tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    assert "R@1" in done.stdout and "report.html" in done.stdout
    found = json.loads((out / "results.json").read_text())
    assert set(found) == {"dataset", "title", "protocol", "results", "use"}
    row = found["results"][0]
    assert row["method"] == "raw" and row["size"] == 1056 and set(row["recall"]) == {"1", "5", "10", "20"}
    assert {"map_at_4", "seconds", "search_ms", "bytes_per_place"} <= set(row)
    wanted = {"preprocessing", "positives", "queries_without_positives", "seed", "versions", "machine", "backbone"}
    assert wanted <= set(found["protocol"])
    with (out / "results.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [(line["method"], int(line["size"])) for line in table] == [
        (r["method"], r["size"]) for r in found["results"]
    ]
    assert float(table[0]["recall_at_1"]) == row["recall"]["1"]
    names = {path.stem for path in (out / "figures").iterdir()}
    assert {"recall_against_size", "precision_recall"} <= names
    for path in (out / "figures").iterdir():
        if path.suffix == ".svg":
            assert ElementTree.parse(path).getroot().tag.endswith("svg")
        else:
            assert cv2.imread(str(path)).shape[1] > 800
    page = (out / "report.html").read_text()
    assert "raw" in page and "http://" not in page.replace("http://www.w3.org", "")
    assert vpr("bench", drawn, *FAST, "-o", out).returncode == 1  # never over what is there


def test_every_method_at_every_size_on_a_small_set(drawn):
    """All that can be asked for, fitted from the same stages; each gives unit descriptors of the size it says."""
    run = bench(open_input(drawn), "street", open_backbone("hog"), tuple(NAMES), (8, 16))
    assert [method.key for method in run.methods] == list(NAMES)
    for method in run.methods:
        for size, describe in method.by_size.items():
            rows = describe(np.asarray(run.task.queries, np.float32))[:, :size]
            assert rows.shape == (12, size) and np.isfinite(rows).all()
        if method.key != "raw":
            assert set(method.by_size) == {8, 16}
    best = {one.method: one.recall[5] for one in run.evaluation.results if one.size in (16, 1056)}
    assert all(value > 0.5 for value in best.values()), best  # 12 queries, 25 m: nothing fell apart


def test_times_of_day_and_panoramas(both_layouts):
    """Tokyo's two protocols and three times of day, on frames that say so."""
    frames = open_dataset("pitts30k", both_layouts[0])
    times = ("day", "sunset", "night")
    told = tuple(
        replace(
            f, extra={"panorama": f"{f.pose.x:.2f} {f.pose.y:.2f}"} if f.split == "database" else {"time": times[i % 3]}
        )
        for i, f in enumerate(frames.frames)
    )
    told_so = replace(frames, frames=told, has_times_and_panoramas=True)
    run = bench(told_so, "t", open_backbone("hog"), ("raw",))
    plain = bench(replace(frames, frames=told), "t", open_backbone("hog"), ("raw",))
    assert not plain.evaluation.groups  # columns of a user's own that have these names mean nothing
    groups = {group.group: group for group in run.evaluation.groups}
    assert set(groups) == {*times, "panoramas"}
    whole = run.evaluation.results[0].recall
    parts = [groups[name] for name in times]
    assert sum(part.queries for part in parts) == 60
    assert sum(part.queries * part.recall[1] for part in parts) == pytest.approx(60 * whole[1])
    assert groups["panoramas"].recall[1] == whole[1] and groups["panoramas"].recall[5] >= whole[5]


def test_an_image_is_no_answer_for_itself(drawn):
    """A set without splits asks every image for the others."""
    frames = open_input(drawn).split("database")
    alone = replace(frames, frames=tuple(replace(frame, split=None) for frame in frames.frames))
    run = bench(alone, "street", open_backbone("hog"), ("raw",))
    assert run.protocol["own_image_is_no_answer"]
    best = run.evaluation.best["raw", 1056]
    assert len(best.rows) == 40 and not np.any(best.rows == np.arange(40))
    again = bench(replace(alone, frames=alone.frames * 2), "street", open_backbone("hog"), ("raw",))  # each image twice
    assert not np.any(again.evaluation.best["raw", 1056].rows % 40 == np.arange(80) % 40)
    assert best.similarities.max() < 0.999


def test_embeddings_from_elsewhere(tmp_path, drawn):
    from vpr_aesvc.extraction import extract

    frames = open_input(drawn).frames
    table = extract(open_backbone("hog"), frames).embeddings
    np.savez(tmp_path / "e.npz", table=table, names=np.array([frame.label for frame in frames]))
    done = vpr("bench", drawn, "--embeddings", tmp_path / "e.npz", *FAST, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    ours = vpr("bench", drawn, *FAST, "-o", tmp_path / "ours", "--cache", tmp_path / "cache")
    assert ours.returncode == 0
    raw = [numbers(tmp_path / name)["results"][0]["recall"] for name in ("out", "ours")]
    assert raw[0] == raw[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "no such file or folder, and no such set; the sets are pitts30k"),
        (["pitts30k"], "say where it is, with --data FOLDER"),
        (["pitts30k", "--data", "."], "does not hold this set"),
        (["{drawn}", "--methods", "raw,magic"], "method 'magic' is not known"),
        (["{drawn}", "--methods", "raw,raw"], "named twice"),
        (["{drawn}", "--sizes", "4000"], "none of the requested sizes can be filled"),
        (["{drawn}", "--sizes", "a"], "--sizes must be numbers"),
        (["{drawn}", "--cache", "/dev/null/x"], "embedding cache cannot be opened"),
    ],
)
def test_what_cannot_be_run(tmp_path, drawn, words, said):
    words = [word.format(drawn=drawn) for word in words]
    refused(vpr("bench", *words, "-o", tmp_path / "out", cwd=tmp_path), said)
    assert not list(tmp_path.iterdir())


def test_no_queries_no_positives_and_no_truth(tmp_path, drawn):
    rows = (drawn / "frames.csv").read_text().splitlines()

    def written(lines):
        path = tmp_path / "frames.csv"
        path.write_text("\n".join(lines))
        return path

    only = [rows[0], *(f"{drawn}/{row}" for row in rows[1:] if ",database," in row)]
    common = ("-o", tmp_path / "out", "--cache", tmp_path / "cache", *FAST)
    refused(vpr("bench", written(only), *common), "no row has split 'query'")
    lost = "path,split\n" + "\n".join(f"{drawn}/{row.split(',')[0]},{row.split(',')[1]}" for row in rows[1:])
    refused(vpr("bench", written(lost.splitlines()), *common), "does not say which images show the same place")
    east = rows[0].split(",").index("easting")
    moved = [row.split(",") for row in rows[1:]]
    for cells in moved:
        cells[0] = str(drawn / cells[0])
        if cells[1] == "query":
            cells[east] = str(float(cells[east]) + 1e5)
    refused(
        vpr("bench", written([rows[0], *(",".join(cells) for cells in moved)]), *common), "no query has a right place"
    )
    assert not (tmp_path / "out").exists()


def test_a_missing_image_is_named_and_left_out(tmp_path, drawn):
    rows = (drawn / "frames.csv").read_text().splitlines()
    table = tmp_path / "frames.csv"
    table.write_text(
        "\n".join([rows[0], *(f"{drawn}/{row}" for row in rows[1:])]).replace("morning/0007", "morning/none")
    )
    done = vpr("bench", table, *FAST, "-o", tmp_path / "out", "--cache", tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    assert "1 of 52 images skipped" in done.stderr and "none.jpg" in done.stderr
    assert "none.jpg" in numbers(tmp_path / "out")["protocol"]["skipped"][0]


def test_names_that_look_like_markup(tmp_path, drawn):
    images = tmp_path / "a[b]c"
    images.mkdir()
    for split, name in (("database", "morning"), ("queries", "evening")):
        (images / split).symlink_to(drawn / "images" / name)
    frames = open_input(images)
    assert {frame.split for frame in frames.frames} == {"database", "query"} and len(frames.split("query")) == 12
    table = vpr("data", "frames", drawn)
    assert table.returncode == 0
    (images / "frames.csv").write_text(table.stdout)
    out = tmp_path / "o[b]x"
    done = vpr("bench", images, *FAST, "-o", out, "--cache", tmp_path / "cache")
    assert done.returncode == 0 and "o[b]x/report.html" in done.stdout.replace("\n", ""), done.stderr


def test_interrupted(tmp_path, clips_folder, transformer):
    words = ["bench", clips_folder, "--backbone", transformer, "-o", tmp_path / "out", "--cache", tmp_path / "cache"]
    process = subprocess.Popen([*VPR, *map(str, words)], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size for path in tmp_path.glob("cache/*/embeddings.f16")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in errors
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]
    kept = next(tmp_path.glob("cache/*/embeddings.f16")).stat().st_size // (2 * 192)
    assert kept >= 16


@pytest.mark.slow
def test_a_hundred_thousand_embeddings_fit_in_two_gigabytes(tmp_path):
    """Synthetic embeddings, in a process of its own whose peak is measured by the operating system."""
    code = """
import json, resource
import numpy as np
from vpr_aesvc.backbones.given import GivenEmbeddings
from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.evaluation.bench import bench
from vpr_aesvc.types import Frame, Pose
from pathlib import Path
n, q, d = 100_000, 1_000, 512
random = np.random.default_rng(0)
table = np.lib.format.open_memmap("e.npy", "w+", np.float16, (n + q, d))
for at in range(0, n, 10_000):
    table[at : at + 10_000] = random.standard_normal((10_000, d), np.float32) * (1 + np.arange(d)) ** -0.5 + 0.1
asked = random.choice(n, q, replace=False)
table[n:] = table[asked] + 0.05 * random.standard_normal((q, d)).astype(np.float16)
table.flush()
frames = [Frame(str(i), pose=Pose(30.0 * i, 0.0), split="database") for i in range(n)]
frames += [Frame(f"q{i}", pose=Pose(30.0 * at, 0.0), split="query") for i, at in enumerate(asked)]
given = GivenEmbeddings(d, np.load("e.npy", mmap_mode="r"), {f.label: i for i, f in enumerate(frames)}, "e.npy")
run = bench(FrameSet(Path("."), "made", tuple(frames)), "made", given, ("raw", "pca", "aesvc"), (64, 256))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"peak_mb": peak, "raw": run.evaluation.results[0].recall[1]}))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=os.environ)
    assert run.returncode == 0, run.stderr[-2000:]
    found = json.loads(run.stdout)
    assert found["raw"] > 0.9
    assert found["peak_mb"] < 2000, found


def test_evaluating_twice_gives_the_same_bytes():
    random = np.random.default_rng(0)
    database, queries = (random.standard_normal((n, 32)).astype(np.float32) for n in (200, 30))
    from vpr_aesvc.datasets.positives import Positives
    from vpr_aesvc.types import Frame

    right = Positives.of_pairs(np.arange(30), random.integers(0, 200, 30), 30)
    task = RetrievalTask(database, queries, right, np.arange(230))
    frames = [Frame(str(i), sequence="s", index=i) for i in range(200)]
    runs = []
    for _ in range(2):
        stages = Stages(TrainingData.of(database), frames, (8, 31), seed=3)
        found = evaluate(task, fit_methods(stages, 32, ("pca", "aesvc", "rotation")))
        runs.append([(one.method, one.size, one.recall, one.map_at) for one in found.results])
    assert runs[0] == runs[1]


@pytest.mark.parametrize(("queries", "low", "high"), [(5, "0.57", "1.00"), (12, "0.65", "0.99"), (29, "0.78", "0.98")])
def test_few_queries_name_no_best_method(drawn, queries, low, high):
    """The interval is Wilson's; from 30 queries on the methods are compared."""
    frames = open_input(drawn)
    database = [frame for frame in frames.frames if frame.split == "database"]
    repeated = [frame for frame in frames.frames if frame.split == "query"] * 3
    source = replace(frames, frames=(*database, *repeated[:queries]))
    run = bench(source, "few", open_backbone("hog"), ["raw", "pca"])
    text = " ".join(methods_summary(run))
    assert f"Only {queries} queries have a right place, too few to name a best method" in text
    assert f"between {low} and {high} (95 %)" in text and "is best" not in text and "as good as" not in text


def test_thirty_queries_are_enough(drawn):
    frames = open_input(drawn)
    database = [frame for frame in frames.frames if frame.split == "database"]
    repeated = [frame for frame in frames.frames if frame.split == "query"] * 3
    run = bench(replace(frames, frames=(*database, *repeated[:30])), "enough", open_backbone("hog"), ["raw", "pca"])
    text = " ".join(methods_summary(run))
    assert "too few" not in text and ("is best" in text or "No method beats raw" in text)
