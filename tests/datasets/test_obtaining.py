"""`vpr data show`: every set says how it is obtained, and the folder that the steps lead to is one that is read."""

import cv2
import numpy as np
import pytest

from tests.command import refused, vpr
from tests.datasets.pitts_shaped import write_dbstruct
from vpr_aesvc.datasets.catalog import BENCHMARKS

UTM = {"pitts30k": (585_000.0, 4_477_000.0), "tokyo247": (382_000.0, 3_947_000.0)}


def image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((4, 4, 3), np.uint8))


def made(name, root):
    """The tree that `vpr data show` tells, with one image in each folder of images."""
    places = [
        line.split()[0].removeprefix("FOLDER/")
        for line in BENCHMARKS[name].obtaining.splitlines()
        if line.startswith("FOLDER/")
    ]
    folders = [root / place for place in places if place.endswith("/")]
    names = ["1.jpg"] * 2
    if name == "tokyo247":
        names = ["aaaaaaaaaaaaaaaaaaaaaa_012_000.png", "00001.jpg"]
    for folder, one in zip(folders, names, strict=False):
        image(folder / one)
    lists = {path: root / path for path in places if not path.endswith("/")}
    for path in lists.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    database = f"{folders[0].name}/{names[0].replace('.png', '.jpg')}"
    utm = np.array([UTM[name]])
    write_dbstruct(next(iter(lists.values())), [database], utm, [names[1]], utm)
    return root


@pytest.mark.parametrize("name", BENCHMARKS)
def test_the_told_folder_is_read(name, tmp_path):
    frames = BENCHMARKS[name].open(made(name, tmp_path / "folder"))
    assert len(frames) >= 1 and all(frame.path.is_file() for frame in frames.frames)


def test_every_step_is_said_and_what_comes_next():
    done = vpr("data", "show", "tokyo247")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert set(BENCHMARKS["tokyo247"].obtaining.splitlines()) < set(lines)
    assert "75,984 database images, 315 queries" in lines[0]
    assert "vpr data check tokyo247 --data FOLDER" in lines[-2] and "vpr bench tokyo247" in lines[-1]
    refused(vpr("data", "show", "tokio"), "tokio: no such set; the sets are pitts30k")


def test_the_encoders_are_listed_with_what_they_need():
    done = vpr("model", "list")
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.split()}
    assert "384" in lines["dinov2-small"] and "huggingface.co/facebook/dinov2-small" in lines["dinov2-small"]
    assert (
        "2048" in lines["cosplace-resnet50-2048"] and "github.com/gmberton/CosPlace" in lines["cosplace-resnet50-2048"]
    )
    assert "executes the code of the repository" in done.stdout and "copy the folder" in done.stdout
