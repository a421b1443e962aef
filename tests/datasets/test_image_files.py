"""Which files of a folder become places, and what is said of the others. The files are made here."""

import os

import numpy as np
import pytest

from tests.datasets.images import photo, written
from vpr_aesvc.datasets import open_images
from vpr_aesvc.errors import VprError


def labels(images):
    return [frame.label for frame in images.frames]


def counts(images):
    return list(images.skip_counts.counts.values())


def reasons(images):
    return " ".join(images.skip_counts.counts)


DEPTH = (photo(3, (72, 96)).astype(np.uint16) + 20) * 100
LABELS = np.digitize(photo(4, (72, 96)), [60, 120, 180]).astype(np.uint8)
COLOR_LABELS = np.array([[0, 0, 0], [70, 70, 70], [128, 64, 128], [35, 142, 107]], np.uint8)[LABELS]


@pytest.mark.parametrize(
    ("name", "picture", "kind"),
    [
        ("depth/{}.png", DEPTH, "depth"),
        ("scene1/aligned_depth_to_color/{}.png", DEPTH, "depth"),
        ("frame-{}.depth.png", DEPTH, "depth"),
        ("Depth/{}.tif", DEPTH.astype(np.float32), "depth"),
        ("masks/{}.png", LABELS * 85, "mask"),
        ("classSegmentation/{}.png", COLOR_LABELS, "mask"),
        ("aachen_{}_gtFine_labelIds.png", LABELS, "mask"),
        ("instances/{}.png", LABELS.astype(np.uint16) * 1000, "mask"),
        ("semseg/{}.png", COLOR_LABELS, "mask"),
        ("panoptic/{}.png", COLOR_LABELS, "mask"),
    ],
)
def test_what_is_no_photo(tmp_path, name, picture, kind):
    for number in range(4):
        written(tmp_path / "rgb" / f"{number}.jpg", photo(number))
        written(tmp_path / name.format(number), picture)
    images = open_images(tmp_path)
    assert labels(images) == [f"rgb/{number}.jpg" for number in range(4)]
    assert counts(images) == [4] and kind in reasons(images) and "rename them or list" in reasons(images)


DARK = (photo(7, (72, 96)).astype(int) // 6 + np.random.default_rng(0).integers(0, 2, (72, 96))).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "picture"),
    [
        ("seg_2/{}.png", DARK),
        ("masks/{}.png", DARK),
        ("depth_10m/{}.png", photo(8, (72, 96))),
        ("depth/other_{}7.png", photo(8, (72, 96))),
        ("label_A/{}.png", DEPTH),
        ("thermal/{}.tiff", DEPTH),
    ],
)
def test_gray_photos_stay(tmp_path, name, picture):
    for number in range(4):
        written(tmp_path / "rgb" / f"{number}.jpg", photo(number))
        written(tmp_path / name.format(number), picture + number)
    images = open_images(tmp_path)
    assert len(images) == 8 and not images.skip_counts
    assert ("more than 8 bits" in " ".join(images.notes)) == (picture is DEPTH)


@pytest.mark.parametrize("name", ["depth", "masks", "labels", "seg_07"])
def test_photos_under_such_a_name_are_used_and_said(tmp_path, name):
    for number in range(3):
        written(tmp_path / "rgb" / f"{number}.jpg", photo(number))
        written(tmp_path / name / f"{number}.jpg", photo(number + 10))
    images = open_images(tmp_path)
    assert len(images) == 6 and not images.skip_counts
    assert "look like photos" in images.notes[0]


@pytest.mark.parametrize("inside", ["", "depth", "masks/depth"])
def test_the_only_images_are_used_and_said(tmp_path, inside):
    for number in range(3):
        written(tmp_path / "depth" / inside / f"{number}.png", DEPTH + number)
    images = open_images(tmp_path / "depth")
    said = any("there are no others" in note for note in images.notes)
    assert len(images) == 3 and said == bool(inside)


def test_names_that_only_contain_such_a_word(tmp_path):
    for name in ("indepth", "labelle", "masking tape", "segway", "displays"):
        written(tmp_path / name / "1.png", DEPTH)
    assert len(open_images(tmp_path)) == 5


@pytest.mark.parametrize("name", ["@eaDir/1.jpg", "__MACOSX", ".thumbnails", "a/.@__thumb", "#recycle", "$RECYCLE.BIN"])
def test_copies_that_systems_keep(tmp_path, name):
    written(tmp_path / "1.jpg", photo(1))
    written(tmp_path / name / "x.jpg", photo(2))
    images = open_images(tmp_path)
    assert labels(images) == ["1.jpg"] and reasons(images).startswith("copies that a system keeps")


def test_hidden_images_are_counted(tmp_path):
    for name in ("1.jpg", "._1.jpg", ".cache/2.jpg"):
        written(tmp_path / name, photo(1))
    images = open_images(tmp_path)
    assert labels(images) == ["1.jpg"] and counts(images) == [1, 1] and "hidden" in reasons(images)


@pytest.mark.parametrize("suffix", [".gif", ".HEIC", ".DNG", ".cr2", ".jp2", ".jxl", ".svg"])
def test_formats_that_are_not_read_are_named(tmp_path, suffix):
    written(tmp_path / "1.jpg", photo(1))
    (tmp_path / f"2{suffix}").touch()
    images = open_images(tmp_path)
    assert (
        len(images) == 1
        and reasons(images) == f"{suffix.lower()} files, a format that is not read: convert them to JPEG"
    )
    (tmp_path / "1.jpg").unlink()
    with pytest.raises(VprError, match=rf"no images in this folder.*left out: 1 \{suffix.lower()} files"):
        open_images(tmp_path)


def test_links(tmp_path, monkeypatch):
    for day in ("a", "b/inner", "outside/c"):
        written(tmp_path / ("" if day.startswith("outside") else "in") / day / "1.jpg", photo(len(day)))
    (tmp_path / "in" / "c").symlink_to("../outside/c")
    (tmp_path / "in" / "again").symlink_to("a")  # the same real folder
    (tmp_path / "in" / "b" / "up").symlink_to("..")  # a circle
    (tmp_path / "in" / "above").symlink_to(tmp_path)  # a circle that begins above
    (tmp_path / "in" / "gone.jpg").symlink_to("nothing")
    (tmp_path / "in" / "file.jpg").symlink_to("a/1.jpg")
    images = open_images(tmp_path / "in")
    assert labels(images) == ["a/1.jpg", "b/inner/1.jpg", "c/1.jpg", "file.jpg"]
    assert images.skip_counts.counts == {
        "links to a folder that is read already": 3,
        "links whose target is missing": 1,
    }
    (tmp_path / "root").symlink_to("in")
    assert labels(open_images(tmp_path / "root")) == labels(images)
    monkeypatch.chdir(tmp_path / "in")
    assert labels(open_images(".")) == labels(images)


def test_what_two_folders_leave_out_is_added_up(tmp_path):
    for split in ("database", "queries"):
        for name in ("1.jpg", ".hidden.jpg", "@eaDir/1.jpg"):
            written(tmp_path / split / name, photo(len(split)))
    images = open_images(tmp_path)
    assert len(images) == 2 and counts(images) == [2, 2]


def table(folder, rows, columns="path,split"):
    for number in range(3):
        written(folder / f"{number}.jpg", photo(number))
    (folder / "frames.csv").write_text("\n".join([columns, *rows]) + "\n")
    return open_images(folder)


@pytest.mark.parametrize(
    ("rows", "columns", "kept", "repeated", "note"),
    [
        (["0.jpg,database", "1.jpg,database"] * 3, "path,split", 2, 4, None),
        (["0.jpg,database", "0.jpg,query", "1.jpg,database"], "path,split", 3, 0, None),  # both splits: as data sets do
        (["0.jpg,database,1", "0.jpg,database,2"], "path,split,stamp", 2, 0, "1 rows list an image that another row"),
        (["0.jpg,database,a", "0.jpg,database,b", "0.jpg,database,a"], "path,split,note", 2, 1, "1 rows list an image"),
    ],
)
def test_repeated_rows(tmp_path, rows, columns, kept, repeated, note):
    images = table(tmp_path, rows, columns)
    assert len(images) == kept and len(images.skip_counts) == repeated
    assert images.notes == [] if note is None else images.notes[0].startswith(note)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_cannot_be_read(tmp_path):
    written(tmp_path / "1.jpg", photo(1))
    (tmp_path / "locked").mkdir(mode=0)
    images = open_images(tmp_path)
    assert len(images) == 1 and "cannot be read" in reasons(images)


@pytest.mark.parametrize(
    ("name", "picture", "is_said"),
    [("1.png", DEPTH, True), ("1.tif", DEPTH.astype(np.float32), True), ("1.png", photo(1), False)],
)
def test_more_than_8_bits_are_said(tmp_path, name, picture, is_said):
    written(tmp_path / name, picture)
    assert any("more than 8 bits" in note for note in open_images(tmp_path).notes) == is_said


def test_more_than_8_bits_are_said_where_the_first_has_8(tmp_path):
    for number in range(4):
        written(tmp_path / "a" / f"{number}.jpg", photo(number))
        written(tmp_path / "b" / f"{number}.tif", DEPTH + number)
    assert any("more than 8 bits:" in note for note in open_images(tmp_path).notes)


def test_videos_in_a_folder_are_named(tmp_path):
    for name in ("a.mp4", "b.MOV", "._a.mp4"):
        (tmp_path / name).touch()
    with pytest.raises(
        VprError, match=r"no images in this folder.*left out: 2 videos,.*name one video itself: .*a\.mp4"
    ):
        open_images(tmp_path)
    written(tmp_path / "1.jpg", photo(1))
    images = open_images(tmp_path)
    assert len(images) == 1 and counts(images) == [2]
