"""Folders, pairs and tables: every set that is no dbStruct."""

import random
import shutil
from pathlib import Path

import pytest

from tests.datasets.images import image
from vpr_aesvc.datasets.catalog import open_dataset
from vpr_aesvc.datasets.check import check_dataset
from vpr_aesvc.datasets.positives import Tolerance, guess_tolerance, positives
from vpr_aesvc.errors import VprError
from vpr_aesvc.types import Frame, Pose


def test_utm_folders(tmp_path):
    for base in ("", "images/test"):
        root = tmp_path / ("nested" if base else "flat")
        image(root / base / "database" / "@0000100.00@0000200.00@17@T@@@a@@@@@@@@.jpg")
        image(root / base / "database" / "@0000900.00@0000200.00@17@T@@@b@@@@@@@@.jpg")
        image(root / base / "queries" / "@0000110.00@0000200.00@17@T@@@c@@@@@@@@.jpg")
        frames = open_dataset(str(root))
        right = positives(frames.split("query").frames, frames.split("database").frames, frames.tolerance)
        assert right.table(2).tolist() == [[True, False]]
    image(tmp_path / "flat" / "database" / "plain.jpg")
    frames = open_dataset(str(tmp_path / "flat"))
    right = positives(frames.split("query").frames, frames.split("database").frames, frames.tolerance)
    assert right.table(3).tolist() == [[True, False, False]]
    assert frames.skip_counts.lines() == ["1 poses (no UTM in the name): database/plain.jpg"]
    shutil.rmtree(tmp_path / "nested/images/test/queries")
    (tmp_path / "nested/images/test/queries").mkdir()
    with pytest.raises(VprError, match=r"queries: no images in this folder"):
        open_dataset(str(tmp_path / "nested"))


@pytest.mark.parametrize(("reference", "query"), [("ref", "query"), ("reference", "queries"), ("database", "queries")])
def test_pairs(tmp_path, reference, query):
    for n in (1, 2, 10):
        image(tmp_path / reference / f"{n}.jpg")
    for n in (10, 2):
        image(tmp_path / query / f"{n}.png")
    frames = open_dataset(str(tmp_path))
    database, queries = frames.split("database").frames, frames.split("query").frames
    assert [Path(frame.label).stem for frame in database] == ["1", "2", "10"]
    right = positives(queries, database, frames.tolerance)
    assert right.table(3).tolist() == [[False, True, False], [False, False, True]]
    assert not check_dataset(str(tmp_path))[1]
    image(tmp_path / query / "11.jpg")
    image(tmp_path / query / "12.jpg")
    with pytest.raises(VprError, match=r"11\.jpg and 1 more has no image of the same name in"):
        open_dataset(str(tmp_path))
    image(tmp_path / reference / "2.png")
    with pytest.raises(VprError, match=r"another image in .* has this name"):
        open_dataset(str(tmp_path))


def test_frames_csv_with_categories(tmp_path):
    (tmp_path / "frames.csv").write_text("path,split,category\na,database,cup\nb,database,hat\nc,query,hat\n")
    for frames in (open_dataset(str(tmp_path)), open_dataset(str(tmp_path / "frames.csv"))):
        assert [frame.category for frame in frames.frames] == ["cup", "hat", "hat"] and not frames.frames[0].extra
        right = positives(frames.split("query").frames, frames.split("database").frames, frames.tolerance)
        assert right.table(2).tolist() == [[False, True]]
    frames, problems, _ = check_dataset(str(tmp_path))
    assert len(problems["3 image files are missing"]) == 3 and str(frames.tolerance) == "of the same category"
    (tmp_path / "frames.csv").write_text("path,split\na,database\nc,query\n")
    assert "no right answers" in list(check_dataset(str(tmp_path))[1])[-1]
    (tmp_path / "frames.csv").write_text("path,split\na,database\n")
    with pytest.raises(VprError, match="no row has split 'query'"):
        check_dataset(str(tmp_path))


@pytest.mark.parametrize(
    ("extent", "step", "meters"),
    [(8, 0.2, 1), (110, 1, 5), (70, 1.75, 5), (300, 2, 10), (3000, 20, 25), (9000, 40, 25)],
)
def test_meters_are_in_the_scale_of_the_drive(extent, step, meters):
    frames = [Frame(str(at), pose=Pose.planar(at * step, 0.0)) for at in range(round(extent / step))]
    assert guess_tolerance(frames) == Tolerance("meters", meters)


def test_the_order_of_the_frames_does_not_change_the_meters():
    hall = [Frame(f"{x} {y}", pose=Pose(float(x), float(y))) for x in range(20) for y in range(20)]
    random.Random(0).shuffle(hall)
    assert guess_tolerance(hall) == Tolerance("meters", 5.0)
