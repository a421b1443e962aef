"""Pictures as users have them: thermal cameras, depth beside color, thumbnails of a network drive, photos of phones, links."""

import shutil

import numpy as np
import pytest

from tests.cases.folder import case
from tests.command import vpr
from tests.datasets.images import photo, written
from vpr_aesvc import Describer, open_backbone, train
from vpr_aesvc.inputs import open_input
from vpr_aesvc.placemap import PlaceMap


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    paths = [written(folder / "in" / f"{seed}.jpg", photo(seed)) for seed in range(12)]
    train(open_input(paths[0].parent).frames, open_backbone("hog"), folder / "m", method="raw")
    return folder / "m"


def built(model, images, output):
    """What `vpr map build` prints, and the pictures of the places by label."""
    done = vpr("map", "build", images, "-m", model, "-o", output)
    assert done.returncode == 0, done.stderr
    with PlaceMap.open(output, Describer.open(model)) as places:
        pictures = {place.label: places.thumbnail(number) for number, place in places.places().items()}
    return " ".join((done.stdout + done.stderr).split()), pictures


def test_thermal_pictures_have_contrast(model, tmp_path):
    _, pictures = built(model, case("thermal-16-bit"), tmp_path / "m.vprmap")
    assert len(pictures) == 12
    assert all(len(np.unique(picture)) > 50 and np.ptp(picture) > 200 for picture in pictures.values())


@pytest.mark.parametrize(
    ("name", "count", "words"),
    [
        ("rgb-and-depth", 8, "left out: 8 depth images, by their name (depth) and their look"),
        ("nas-thumbnails", 6, "left out: 12 copies that a system keeps"),
        ("huge-picture", 4, "map_scan.png: 30000 x 30000 pixels, more than the limit of 64 million"),
        ("csv-repeated-rows", 8, "left out: 8 rows that repeat an earlier row"),
    ],
)
def test_places_and_what_was_left_out(model, tmp_path, name, count, words):
    said, pictures = built(model, case(name), tmp_path / "m.vprmap")
    assert len(pictures) == count and words in said


def test_photos_of_a_phone(model, tmp_path):
    pytest.importorskip("pillow_heif")
    said, pictures = built(model, case("heic-among-jpeg"), tmp_path / "m.vprmap")
    assert len(pictures) == 9 and "left out:" not in said


def test_linked_folder(model, tmp_path):
    shutil.copytree(case("linked-folder"), tmp_path / "in", symlinks=True)
    link = tmp_path / "in" / "all" / "day1"
    if not link.is_symlink():  # a copy without links: the word is there, and the link can be made again
        said, _ = built(model, tmp_path / "in" / "all", tmp_path / "without.vprmap")
        assert "1 links to a folder that were copied as text" in said
        target = link.read_text().strip()
        link.unlink()
        link.symlink_to(target)
    said, pictures = built(model, tmp_path / "in" / "all", tmp_path / "m.vprmap")
    assert len(pictures) == 9 and "left out:" not in said and "day1/3.jpg" in pictures


def test_compressed_bayer_has_colors(model, tmp_path):
    _, pictures = built(model, case("bayer-compressed") / "drive", tmp_path / "m.vprmap")
    assert len(pictures) == 12
    for picture in pictures.values():
        assert np.ptp(picture.astype(int), axis=2).mean() > 5  # not gray
        rows = picture[::2].astype(int) - picture[1::2]
        assert np.abs(rows).mean() < 12  # not a chequered mosaic


def test_video_with_dropped_frames(model, tmp_path):
    said, pictures = built(model, case("video-dropped-frames") / "drive.mkv", tmp_path / "m.vprmap")
    assert len(pictures) == 10 and "left out:" not in said and "10.0 s of 96 x 72 pixels" in said


def test_the_same_images_added_again_are_said(model, tmp_path):
    for seed in range(8):
        written(tmp_path / "in" / f"{seed}.jpg", photo(seed))
        written(tmp_path / "other" / f"{seed}.jpg", photo(seed + (50 if seed else 0)))
    built(model, tmp_path / "in", tmp_path / "m.vprmap")
    for name, count in (("other", 1), ("in", 8)):
        done = vpr("map", "add", tmp_path / "m.vprmap", tmp_path / name, "-m", model, "--traverse", name)
        assert f"{count} of the new places are of images that the map held already" in " ".join(done.stdout.split())
