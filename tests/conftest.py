"""Real images and encoders: from the folder in VPR_TEST_DATA, else from ../shared/data beside the repository."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

DATA = Path(os.environ.get("VPR_TEST_DATA", Path(__file__).resolve().parents[1].parent / "shared" / "data"))


def _folder(name: str) -> Path:
    if not (DATA / name).is_dir():
        pytest.skip(f"real data is absent: {DATA / name} (set VPR_TEST_DATA)")
    return DATA / name


@pytest.fixture(scope="session")
def ie_tower() -> Path:
    return _folder("ie_tower")


@pytest.fixture(scope="session")
def corridor_loop() -> Path:
    return _folder("corridor_loop")


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
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic route: the input that is there on every machine. 40 database and 12 query images."""
    from vpr_aesvc.demo import draw_route

    return draw_route(tmp_path_factory.mktemp("drawn") / "route", places=40, queries=12).parent


@pytest.fixture(scope="session")
def drawn_model(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained on the route, with the closed form, which needs no second of training."""
    from vpr_aesvc.backbones import open_backbone
    from vpr_aesvc.datasets import open_input
    from vpr_aesvc.training import train

    path = tmp_path_factory.mktemp("model") / "model"
    train(open_input(drawn).split("database").frames, open_backbone("hog"), path, method="whitening")
    return path


@pytest.fixture(scope="session")
def drawn_map(drawn: Path, drawn_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from vpr_aesvc.datasets import open_input
    from vpr_aesvc.describer import Describer
    from vpr_aesvc.mapping import build_map

    path = tmp_path_factory.mktemp("map") / "street.vprmap"
    build_map(open_input(drawn).split("database").frames, Describer.open(drawn_model), path)
    return path


@pytest.fixture(scope="session")
def corridor_model(corridor_loop: Path, mobilenet: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MobileNetV3 and the closed form, fitted on the corridor's first lap."""
    from vpr_aesvc.backbones import open_backbone
    from vpr_aesvc.datasets import open_input
    from vpr_aesvc.training import train

    path = tmp_path_factory.mktemp("model") / "model"
    train(open_input(corridor_loop).split("database").frames, open_backbone(str(mobilenet)), path, method="whitening")
    return path


@pytest.fixture
def random_image() -> np.ndarray:
    """RGB uint8 [60, 80, 3] with structure at several scales."""
    noise = np.random.default_rng(0).integers(0, 256, (15, 20, 3), np.uint8)
    return np.asarray(cv2.resize(noise, (80, 60), interpolation=cv2.INTER_CUBIC))
