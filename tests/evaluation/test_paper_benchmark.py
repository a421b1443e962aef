"""The benchmark of the paper: the claims by hand, the figure, and the small sets in the layouts of the real ones."""

from __future__ import annotations

from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("torch")

from benchmarks.labeled_sets import open_set
from benchmarks.paper_claims import claims
from benchmarks.paper_figure import paper_drawing
from benchmarks.paper_published import published_beside
from benchmarks.paper_runs import (
    AESVC,
    GFLOP_PER_NUMBER,
    OUR_AESVC,
    OUR_SS2D,
    PCA,
    RAW,
    SS2D,
    SSD,
    VAE,
    PaperRun,
    published_by,
    run_set,
)
from benchmarks.paper_stand_ins import make_sets
from vpr_aesvc.datasets.positives import positives
from vpr_aesvc.evaluation.results import MethodResult
from vpr_aesvc.projections import paper

SIZES = (8, 32, 256, 768)


def run(
    dataset: str, backbone: str, gain: float, specific: bool = False, lost: float = 0.01, spread: float = 0.05
) -> PaperRun:
    """A run in which AE-SVC gains ``gain`` on raw, and (SS)2D is ``lost`` behind SSD."""
    random = np.random.default_rng(0)
    level = {PCA: 0.30, VAE: 0.32, SSD: 0.40, SS2D: 0.40 - lost, AESVC: 0.25, OUR_SS2D: 0.45}
    scores = {method: {size: value + 0.02 * at for at, size in enumerate(SIZES[:3])} for method, value in level.items()}
    scores[AESVC][768] = 0.5 + gain
    scores |= {RAW: {768: 0.5}, OUR_AESVC: {**scores[AESVC], 768: 0.51}}
    cosines = {
        RAW: random.normal(0.5, 0.1, 500),
        AESVC: random.normal(0, spread, 500),
        OUR_AESVC: random.normal(0, 0.07, 500),
    }
    return PaperRun(dataset, backbone, specific, 100, scores, cosines, published_by(dataset, backbone))


@pytest.fixture(scope="module")
def runs() -> list[PaperRun]:
    made = [
        run("pitts30k", "DINO-B16", 0.04),
        run("tokyo247", "DINO-B16", 0.2, lost=0.09),
        run("sop", "CLIP", -0.01, spread=0.2),
    ]
    return [*made, run("pitts30k", "CosPlace", 0.01, specific=True), run("tokyo247", "CosPlace", 0.3, specific=True)]


def test_each_claim_with_its_figures(runs: list[PaperRun]) -> None:
    text = "\n".join(claims(runs))
    assert "1. AE-SVC is above the raw embedding at full size: held on 4 of 5." in text
    assert "NOT held sop       CLIP                 raw (768) 0.500, AE-SVC (768) 0.490 -0.010 | 0.510 +0.010" in text
    assert "2. (SS)2D is above PCA and above VAE at each size up to 128: held on 4 of 5." in text
    assert "NOT held tokyo247  DINO-B16             8: 0.310 (0.300, 0.320) | 0.450" in text
    assert "3. (SS)2D is close to SSD: at most 0.02 behind at each size: held on 4 of 5." in text
    assert "4. AE-SVC lowers the variance of the cosines of two images: held on 4 of 5." in text
    assert (
        "5. A dataset-specific encoder gains less from AE-SVC than the foundation models on average: held on 1 of 2."
        in text
    )
    assert "held     pitts30k  CosPlace             +0.010, the 1 foundation models +0.040 on average" in text


def test_a_claim_without_a_run_is_not_tested(runs: list[PaperRun]) -> None:
    assert any("5." in line and "not tested" in line for line in claims(runs[:3]))


def test_the_figure_has_all_four_panels(runs: list[PaperRun], tmp_path) -> None:
    paths = paper_drawing(runs).save(tmp_path)
    assert cv2.imread(str(paths[0])).shape[1] > 1500
    drawn = " ".join(ElementTree.parse(paths[1]).getroot().itertext())
    for words in (
        "1. Cosine similarity",
        "2. mAP@4 against",
        "3. (SS)2D against",
        f"({GFLOP_PER_NUMBER:g} a number",
        "none read off",
    ):
        assert words in drawn
    assert all(
        name in drawn for name in (PCA, VAE, SSD, SS2D, AESVC, OUR_SS2D, "the authors'", "CosPlace (dataset-specific)")
    )


def test_one_set_and_one_model_are_enough(tmp_path) -> None:
    assert paper_drawing([run("sop", "CLIP", 0.1)]).save(tmp_path)[0].stat().st_size > 10_000


def test_both_forms_are_compared_with_the_published_figures() -> None:
    protocol = {"backbone": "hf:facebook/dino-vitb16?pooling=cls", "embedding_size": 768, "skipped": []}
    results = [
        MethodResult(name, size, {1: 0.5}, 2 * size, map_at={4: 0.7})
        for name in ("AE-SVC", AESVC)
        for size in (128, 768)
    ]
    beside = published_beside("tokyo247", protocol, results)
    assert [(one.what, one.theirs) for one in beside] == [
        (f"mAP@4, {name}, {size} numbers", theirs)
        for size, theirs in ((768, 0.75), (128, 0.52))
        for name in ("AE-SVC", AESVC)
    ]


def test_the_stand_ins_have_the_layouts_of_the_real_sets(clips_folder, tmp_path) -> None:
    sets = make_sets(tmp_path, clips_folder, 48, 16)
    for name, folder in sets.items():
        frames = open_set(name, folder)
        queries, database = (frames.split(part).frames for part in ("query", "database"))
        assert len(database) == 48 and len(queries) == (48 if name == "sop" else 16), name
        right = positives(queries, database, frames.tolerance)
        assert right is not None and (right.counts > 0).all(), name
    times = {frame.extra["time"] for frame in open_set("tokyo247", sets["tokyo247"]).split("query").frames}
    assert times == {"day", "sunset", "night"}


def test_a_run_has_what_the_panels_need(clips_folder, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(paper, "STEPS", 50)
    monkeypatch.setattr(paper, "STUDENT_STEPS", 20)
    folder = make_sets(tmp_path / "sets", clips_folder, 48, 16)["inshop"]
    found = run_set("inshop", folder, ("hog", "hog", False), tmp_path / "report", tmp_path / "cache", (8, 16))
    assert found.dim == 1056 and found.queries == 16 and (tmp_path / "report" / "report.html").is_file()
    assert all(set(found.scores[name]) == {8, 16, 47} for name in (PCA, VAE, SSD, SS2D, AESVC, OUR_AESVC, OUR_SS2D))
    assert set(found.cosines) == {RAW, AESVC, OUR_AESVC} and not found.published
    assert len(claims([found])) > 10 and paper_drawing([found]).figure is not None
