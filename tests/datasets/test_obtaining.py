"""The folder that the steps in docs/benchmark.md lead to is one that is read."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.command import vpr
from tests.datasets.pitts_shaped import write_dbstruct
from vpr_aesvc.datasets.catalog import BENCHMARKS

UTM = {"pitts30k": (585_000.0, 4_477_000.0), "tokyo247": (382_000.0, 3_947_000.0)}


def image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((4, 4, 3), np.uint8))


def made(name, root):
    """The tree that docs/benchmark.md shows, with one image in each folder of images."""
    text = (Path(__file__).parents[2] / "docs" / "benchmark.md").read_text()
    rows = text.split("| `pitts30k` | `tokyo247` | content |")[1].split("\n\n")[0].splitlines()[2:]
    places = [re.findall("`([^`]+)`", row.split("|")[1 + list(UTM).index(name)])[0] for row in rows]
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


def test_the_encoders_are_listed_with_what_they_need():
    done = vpr("model", "list")
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.split()}
    assert "384" in lines["dinov2-small"] and "huggingface.co/facebook/dinov2-small" in lines["dinov2-small"]
    assert (
        "2048" in lines["cosplace-resnet50-2048"] and "github.com/gmberton/CosPlace" in lines["cosplace-resnet50-2048"]
    )
    assert "executes the code of the repository" in done.stdout and "copy the folder" in done.stdout
