"""Recognition in a benchmark, on real images, against the recognizer asked by hand and counting in plain Python."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.command import refused, vpr
from vpr_aesvc.backbones import open_backbone
from vpr_aesvc.backbones.given import GivenEmbeddings
from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.errors import VprError
from vpr_aesvc.evaluation.bench import BenchmarkRun, bench
from vpr_aesvc.evaluation.benchmark_files import benchmark_json, write_benchmark
from vpr_aesvc.evaluation.methods import choose_method, fit_methods
from vpr_aesvc.evaluation.recognition_ablation import VariantAnswers, acceptance_curve, recording_order
from vpr_aesvc.extraction import extract
from vpr_aesvc.inputs import open_input
from vpr_aesvc.projections.artifact import unit
from vpr_aesvc.projections.data import TrainingData
from vpr_aesvc.projections.stages import Stages
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.types import Frame

RATE = 0.05


@pytest.fixture(scope="module")
def given(loop_folder: Path, encoder: Path) -> GivenEmbeddings:
    """Of all frames of the loop: embedded once for this file."""
    frames = open_input(loop_folder).frames
    backbone = open_backbone(str(encoder))
    rows = {frame.label: at for at, frame in enumerate(frames)}
    return GivenEmbeddings(backbone.dim, extract(backbone, frames).embeddings, rows, "a test")


@pytest.fixture(scope="module")
def run(loop_folder: Path, given: GivenEmbeddings) -> BenchmarkRun:
    settings = RecognizerSettings(sequence=True, geometry=True, false_positive_rate=RATE)
    # Listed backwards: recognition goes by index all the same.
    backwards = open_input(loop_folder)
    backwards = replace(backwards, frames=backwards.frames[::-1])
    return bench(backwards, "the loop", given, ("raw", "pca"), (32,), recognition=settings)


def by_hand(loop_folder: Path, given: GivenEmbeddings, folder: Path, sequence: bool, geometry: bool) -> list[dict]:
    """The answers of the recognizer to laps 2 and 3 in a map of lap 1, with nothing of the evaluation's."""
    from vpr_aesvc.describer import Describer
    from vpr_aesvc.images import read_image
    from vpr_aesvc.placemap import PlaceMap
    from vpr_aesvc.recognition.recognizer import Recognizer
    from vpr_aesvc.training import train

    loop = open_input(loop_folder)
    lap, later = loop.split("database").frames, sorted(loop.split("query").frames, key=lambda frame: frame.index)
    if not (folder / "model").exists():
        train(lap, given, folder / "model", method="raw")
    describer = Describer.open(folder / "model", given)
    of = [given.look_up(part) for part in (lap, later)]
    path = folder / f"{sequence}-{geometry}.vprmap"
    found = []
    with PlaceMap.create(path, describer) as place_map:
        place_map.add(lap, unit(of[0]), [read_image(frame.path) for frame in lap])
        settings = RecognizerSettings(sequence=sequence, geometry=geometry, false_positive_rate=RATE)
        recognizer = Recognizer(place_map, describer, settings)
        for frame, descriptor in zip(later, unit(of[1]), strict=True):
            answer = recognizer.recognize(frame, descriptor=descriptor)
            near = float(answer.best.place.extra["index"])
            found.append({"right": abs(near - frame.index) <= 3, "accepted": answer.accepted, "p": answer.probability})
    return found


@pytest.mark.parametrize(
    ("name", "sequence", "geometry"),
    [("+ probability", False, False), ("+ sequence", True, False), ("+ geometry", False, True), ("all", True, True)],
)
def test_numbers_are_what_counting_gives(
    run: BenchmarkRun,
    loop_folder: Path,
    given: GivenEmbeddings,
    tmp_path_factory,
    name: str,
    sequence: bool,
    geometry: bool,
) -> None:
    folder = tmp_path_factory.getbasetemp() / "by hand"
    folder.mkdir(exist_ok=True)
    answers = by_hand(loop_folder, given, folder, sequence, geometry)
    assert run.recognition is not None
    part = next(one for one in run.recognition.parts if one.name == name)
    right = sum(one["right"] for one in answers)
    accepted = [one for one in answers if one["accepted"]]
    assert part.recall_at_1 == pytest.approx(right / 44)
    assert part.at_rate.right == sum(one["right"] for one in accepted)
    assert part.at_rate.wrong == sum(not one["right"] for one in accepted)
    assert part.at_rate.recall == pytest.approx(part.at_rate.right / 44) and part.at_rate.absent == 0
    error = 0.0
    for low in range(15):
        bin_of = [one for one in answers if min(int(one["p"] * 15), 14) == low]
        if bin_of:
            error += abs(sum(one["p"] for one in bin_of) - sum(one["right"] for one in bin_of)) / 44
    assert part.reliability is not None and part.reliability.error == pytest.approx(error, abs=1e-3)


def test_similarity_alone_is_the_best_match_of_the_raw_embedding(run: BenchmarkRun) -> None:
    assert run.recognition is not None
    part = run.recognition.parts[0]
    raw = next(one for one in run.evaluation.results if one.method == "raw")
    assert part.name == "similarity" and part.reliability is None and part.gained == part.lost == 0
    assert part.recall_at_1 == pytest.approx(raw.recall[1])
    assert part.at_rate.right == round(44 * raw.recall[1]) and part.at_rate.wrong == 44 - part.at_rate.right
    assert part.curve is not None and raw.curve is not None
    assert part.curve.area == pytest.approx(raw.recall[1] * raw.curve.area, abs=2e-3)


def test_what_is_written(run: BenchmarkRun, tmp_path: Path) -> None:
    sentences = write_benchmark(run, "the loop", tmp_path / "out")
    found = json.loads((tmp_path / "out" / "results.json").read_text())["recognition"]
    assert [part["part"] for part in found["parts"]] == [
        "similarity",
        "+ probability",
        "+ sequence",
        "+ geometry",
        "all",
    ]
    assert found["false_positive_rate"] == RATE and found["queries"] == 44
    assert found["queries_without_right_place"] == 0
    protocol = found["protocol"]
    assert protocol["order"] == "the queries of one sequence, by index"
    assert protocol["right_places"] == "44 of 44 queries have a right place in the map; all queries are in the map"
    assert protocol["map"].startswith("40 database images as places")
    every = found["parts"][-1]
    assert every["accepted"] == every["right"] + every["wrong"] and sum(every["reliability"]["counts"]) == 44
    page = (tmp_path / "out" / "report.html").read_text()
    body = page.split("<h2>Recognition</h2>")[1].split("<tbody>")[1].split("</tbody>")[0]
    last = re.sub(r"<[^>]*>", " ", body.split("<tr>")[-1]).split()
    assert last[:2] == ["all", f"{every['recall_at_1']:.3f}"]
    assert last[6:10] == [str(every[key]) for key in ("accepted", "right", "wrong")] + [f"{every['recall']:.3f}"]
    error = f"expected calibration error {every['expected_calibration_error']:.3f}"
    assert f"Reliability: {error} (all)" in page and "with and without each part" in page
    for name in ("recognition_precision_recall", "recognition_reliability"):
        image = cv2.imread(str(tmp_path / "out" / "figures" / f"{name}.png"))
        assert image.shape[1] == 1120 and len(np.unique(image.reshape(-1, 3), axis=0)) > 50
        assert (tmp_path / "out" / "figures" / f"{name}.svg").stat().st_size > 2000
    text = (tmp_path / "out" / "figures" / "recognition_reliability.svg").read_text()
    assert f"all: ECE {every['expected_calibration_error']:.3f}" in text
    assert any("Recognition (all) at a false-positive rate of 5" in sentence for sentence in sentences)


def test_only_what_was_asked(loop_folder: Path, given: GivenEmbeddings) -> None:
    loop = open_input(loop_folder)
    lost = tuple(replace(f, index=f.index + 1000) if f.label.endswith("084.jpg") else f for f in loop.frames)
    settings = RecognizerSettings(sequence=False, geometry=False, false_positive_rate=0.2)
    found = bench(replace(loop, frames=lost), "loop", given, ("raw",), recognition=settings).recognition
    assert found is not None and [part.name for part in found.parts] == ["similarity", "+ probability"]
    assert found.absent == 1 and "any match of the other 1 is wrong" in found.protocol["right_places"]
    assert found.parts[0].at_rate.absent == 1  # similarity accepts that one too
    plain = bench(loop, "loop", given, ("raw",))
    assert plain.recognition is None and "recognition" not in benchmark_json(plain, "loop")


def test_curve_by_hand() -> None:
    nan = np.full(6, np.nan)
    rates = np.array([0.01, 0.02, 0.02, 0.5, 0.02, 1.0])
    probabilities = np.array([0.9, 0.8, 0.7, 0.9, 0.7, 0.0])
    answers = VariantAnswers(np.zeros(6, np.int64), nan, rates, probabilities, nan)
    assert answers.levels.tolist() == [4, 3, 2, 1, 2, 0]
    hits = np.array([True, True, False, True, True, False])
    known = np.array([True, True, True, True, True, False])
    curve = acceptance_curve(answers.levels, hits, known)
    assert curve is not None
    # Levels from the top: 1 right; 2; 3 and 1 wrong; 4 and 1; 4 and 2.
    assert curve.recall.tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 0.8])
    assert curve.precision.tolist() == pytest.approx([1, 1, 1, 3 / 4, 4 / 5, 4 / 6])
    assert curve.recall_at_full_precision == pytest.approx(0.4)
    assert curve.area == pytest.approx(0.2 + 0.2 + 0.2 * 3 / 4 + 0.2 * 4 / 5)
    assert answers.accepted(0.02).tolist() == [True, True, True, False, True, False]
    assert acceptance_curve(answers.levels, np.zeros(6, bool), known) is None


def test_order() -> None:
    frames = [
        Frame(str(at), sequence=name, index=index) for at, (name, index) in enumerate([("b", 2), ("a", 9), ("b", 1)])
    ]
    assert recording_order(frames).tolist() == [1, 2, 0]
    assert recording_order([Frame("x"), Frame("y")]).tolist() == [0, 1]
    stamped = [Frame("lap 2", sequence="a", index=1, stamp=9.0), Frame("lap 1", sequence="a", index=2, stamp=3.0)]
    assert recording_order(stamped).tolist() == [1, 0]


def test_the_map_is_made_with_what_does_no_harm() -> None:
    """Where two strong directions say nothing of the place, AE-SVC finds neighbors better; of places on an arc it loses what tells them apart."""
    random = np.random.default_rng(0)
    along = np.arange(240)[:, None] * random.uniform(0.1, 0.6, 24)[None] + random.uniform(0, 6, 24)
    there = np.hstack([np.sin(along), 12 * random.standard_normal((240, 2)), 6 * np.ones((240, 1))])
    mixed = (there @ np.linalg.qr(random.standard_normal((27, 27)))[0]).astype(np.float32)
    frames = [Frame(str(at), sequence="s", index=at) for at in range(240)]
    arc = np.hstack([3 * np.ones((80, 1)), np.linspace(-1, 1, 80)[:, None], 0.015 * random.standard_normal((80, 25))])
    for embeddings, best in ((mixed, "aesvc"), (arc.astype(np.float32), "raw")):
        stages = Stages(TrainingData.of(embeddings), frames[: len(embeddings)], (8, 16))
        fitted = fit_methods(stages, 27, ("raw", "pca", "aesvc"))
        method, why = choose_method(fitted, stages, 27)
        assert method.key == best and "held-out frames" in why
        assert choose_method(fitted[1:], stages, 27)[0].key == best  # raw is there also where nobody asked for it
        assert choose_method(fitted[:2], stages, 27)[0] is fitted[0]


@pytest.mark.parametrize("rate", ["0.5", "nan", "much"])
def test_a_rate_that_is_none(tmp_path: Path, drawn: Path, rate: str) -> None:
    done = vpr("bench", drawn, "--false-positive-rate", rate, "-o", tmp_path / "out")
    if rate == "much":
        assert done.returncode == 2 and "--false-positive-rate" in done.stderr and "Traceback" not in done.stderr
    else:
        refused(done, "--false-positive-rate: ")
    assert not (tmp_path / "out").exists()


def test_the_command(tmp_path: Path, drawn: Path) -> None:
    words = ("bench", drawn, "--methods", "raw", "--cache", tmp_path / "cache", "-o", tmp_path / "out")
    done = vpr(*words, "--false-positive-rate", "0.1")
    assert done.returncode == 0, done.stderr
    assert "recognition at 10 %" in done.stdout and "recognizing: + probability" in done.stderr
    found = json.loads((tmp_path / "out" / "results.json").read_text())["recognition"]
    assert found["false_positive_rate"] == 0.1 and len(found["parts"]) == 2


def test_queries_that_are_in_the_map_are_refused(drawn: Path) -> None:
    frames = open_input(drawn).split("database")
    alone = replace(frames, frames=tuple(replace(frame, split=None) for frame in frames.frames))
    with pytest.raises(VprError, match="40 of 40 queries are database images as well; give the input a split"):
        bench(alone, "street", open_backbone("hog"), ("raw",), recognition=RecognizerSettings())


def test_geometry_without_images_is_refused(loop_folder: Path, given: GivenEmbeddings, tmp_path: Path) -> None:
    loop = open_input(loop_folder)
    gone = FrameSet(loop.path, loop.kind, tuple(replace(f, path=tmp_path / f.label) for f in loop.frames))
    with pytest.raises(VprError, match="84 of them are missing, such as frames/"):
        bench(gone, "loop", given, ("raw",), recognition=RecognizerSettings(geometry=True))
    found = bench(gone, "loop", given, ("raw",), recognition=RecognizerSettings(geometry=False)).recognition
    assert found is not None and found.parts[-1].name == "+ sequence"  # which looks at no image
