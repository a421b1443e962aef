"""Images and encoders of the tests.

Real data is in the folder in VPR_TEST_DATA, else in ../shared/data beside the repository.

- Real, and a test that needs one is skipped where it is absent: ``ie_tower``, ``corridor_loop``, ``kitti_clip``, ``utm_names``,
  ``toy``, ``vit_tiny``, ``mobilenet``.
- Real, or made with the same layout where the real one is absent, for tests that need no real accuracy: ``clips_folder``,
  ``loop_folder``, ``other_streets``, ``transformer``, ``encoder``.
- The same on every machine: ``drawn`` and what is made of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.postgres import Server, missing
from tests.stand_ins import write_clips, write_encoder, write_loop, write_transformer

DATA = Path(os.environ.get("VPR_TEST_DATA", Path(__file__).resolve().parents[1].parent / "shared" / "data"))


def has_data(name: str) -> bool:
    return (DATA / name).is_dir()


def _folder(name: str) -> Path:
    if not has_data(name):
        pytest.skip(f"real data is absent: {DATA / name} (set VPR_TEST_DATA)")
    return DATA / name


@pytest.fixture(scope="session")
def ie_tower() -> Path:
    return _folder("ie_tower")


@pytest.fixture(scope="session")
def corridor_loop() -> Path:
    return _folder("corridor_loop")


@pytest.fixture(scope="session")
def kitti_clip() -> Path:
    return _folder("kitti_clip")


@pytest.fixture(scope="session")
def utm_names() -> Path:
    return _folder("utm_names")


@pytest.fixture(scope="session")
def toy() -> Path:
    return _folder("toy")


@pytest.fixture(scope="session")
def vit_tiny() -> Path:
    return _folder("models/vit_tiny_patch16_224")


@pytest.fixture(scope="session")
def mobilenet() -> Path:
    return _folder("models/mobilenet_v3_small")


@pytest.fixture(scope="session")
def loop_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``corridor_loop``, or a drawn loop with the same ``frames.csv``."""
    if has_data("corridor_loop"):
        return _folder("corridor_loop")
    return write_loop(request.getfixturevalue("drawn"), tmp_path_factory.mktemp("loop") / "loop")


@pytest.fixture(scope="session")
def clips_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``ie_tower``, or as many images in clips made of drawn ones, with the same columns in ``frames.csv``."""
    if has_data("ie_tower"):
        return _folder("ie_tower")
    return write_clips(request.getfixturevalue("drawn"), tmp_path_factory.mktemp("clips") / "clips")


@pytest.fixture(scope="session")
def other_streets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``toy``, or a drawn street that is not the one of ``drawn``. 22 images."""
    from vpr_aesvc.demo import draw_route

    if has_data("toy"):
        return _folder("toy")
    return draw_route(tmp_path_factory.mktemp("other") / "streets", places=17, queries=5, seed=7).parent


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``mobilenet``, or an ONNX encoder of random weights."""
    if has_data("models/mobilenet_v3_small"):
        return _folder("models/mobilenet_v3_small")
    return write_encoder(tmp_path_factory.mktemp("encoder") / "encoder")


@pytest.fixture(scope="session")
def transformer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``vit_tiny``, or a small ViT of random weights."""
    if has_data("models/vit_tiny_patch16_224"):
        return _folder("models/vit_tiny_patch16_224")
    pytest.importorskip("transformers")
    return write_transformer(tmp_path_factory.mktemp("transformer") / "vit")


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic route: the input that is there on every machine. 40 database and 12 query images."""
    from vpr_aesvc.demo import draw_route

    return draw_route(tmp_path_factory.mktemp("drawn") / "route", places=40, queries=12).parent


@pytest.fixture(scope="session")
def drawn_model(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained on the route, with the closed form, which needs no second of training."""
    from vpr_aesvc.backbones import open_backbone
    from vpr_aesvc.inputs import open_input
    from vpr_aesvc.training import train

    path = tmp_path_factory.mktemp("model") / "model"
    train(open_input(drawn).split("database").frames, open_backbone("hog"), path, method="aesvc")
    return path


@pytest.fixture(scope="session")
def drawn_map(drawn: Path, drawn_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from vpr_aesvc.describer import Describer
    from vpr_aesvc.inputs import open_input
    from vpr_aesvc.mapping import build_map

    path = tmp_path_factory.mktemp("map") / "street.vprmap"
    build_map(open_input(drawn).split("database").frames, Describer.open(drawn_model), path)
    return path


@pytest.fixture(scope="session")
def loop_model(loop_folder: Path, encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``encoder`` and whitening, fitted on the first lap of the loop."""
    from vpr_aesvc.backbones import open_backbone
    from vpr_aesvc.inputs import open_input
    from vpr_aesvc.training import train

    path = tmp_path_factory.mktemp("model") / "model"
    train(open_input(loop_folder).split("database").frames, open_backbone(str(encoder)), path, method="aesvc")
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A real PostgreSQL with pgvector."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    with Server() as server:
        yield server


@pytest.fixture
def random_image() -> np.ndarray:
    """RGB uint8 [60, 80, 3] with structure at several scales."""
    noise = np.random.default_rng(0).integers(0, 256, (15, 20, 3), np.uint8)
    return np.asarray(cv2.resize(noise, (80, 60), interpolation=cv2.INTER_CUBIC))
