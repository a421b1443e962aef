"""Folders, pairs, tables and product lists: every set that is no dbStruct."""

import shutil
from pathlib import Path

import pytest

from tests.datasets.images import image
from vpr_aesvc.datasets.catalog import open_dataset
from vpr_aesvc.datasets.check import check_dataset
from vpr_aesvc.datasets.positives import positives
from vpr_aesvc.errors import VprError


def test_utm_folders(tmp_path):
    for base in ("", "images/test"):
        root = tmp_path / ("nested" if base else "flat")
        image(root / base / "database" / "@0000100.00@0000200.00@17@T@@@a@@@@@@@@.jpg")
        image(root / base / "database" / "@0000900.00@0000200.00@17@T@@@b@@@@@@@@.jpg")
        image(root / base / "queries" / "@0000110.00@0000200.00@17@T@@@c@@@@@@@@.jpg")
        for frames in (open_dataset("utm", root), open_dataset(str(root))):
            right = positives(frames.split("query").frames, frames.split("database").frames, frames.tolerance)
            assert right.table(2).tolist() == [[True, False]]
    image(tmp_path / "flat" / "database" / "plain.jpg")
    frames = open_dataset("utm", tmp_path / "flat")
    right = positives(frames.split("query").frames, frames.split("database").frames, frames.tolerance)
    assert right.table(3).tolist() == [[True, False, False]]
    assert frames.skip_counts.lines() == ["1 poses (no UTM in the name): database/plain.jpg"]
    shutil.rmtree(tmp_path / "nested/images/test/queries")
    with pytest.raises(VprError, match="does not hold this set"):
        open_dataset("utm", tmp_path / "nested")
    (tmp_path / "nested/images/test/queries").mkdir()
    with pytest.raises(VprError, match=r"queries: no images in this folder"):
        open_dataset("utm", tmp_path / "nested")


@pytest.mark.parametrize(("reference", "query"), [("ref", "query"), ("reference", "queries"), ("database", "queries")])
def test_pairs(tmp_path, reference, query):
    for n in (1, 2, 10):
        image(tmp_path / reference / f"{n}.jpg")
    for n in (10, 2):
        image(tmp_path / query / f"{n}.png")
    for frames in (open_dataset("pairs", tmp_path), open_dataset(str(tmp_path))):
        database, queries = frames.split("database").frames, frames.split("query").frames
        assert [Path(frame.label).stem for frame in database] == ["1", "2", "10"]
        assert positives(queries, database, frames.tolerance).table(3).tolist() == [
            [False, True, False],
            [False, False, True],
        ]
    assert check_dataset("pairs", tmp_path).whole
    image(tmp_path / query / "11.jpg")
    image(tmp_path / query / "12.jpg")
    with pytest.raises(VprError, match=r"11\.jpg and 1 more has no image of the same name in"):
        open_dataset("pairs", tmp_path)
    image(tmp_path / reference / "2.png")
    with pytest.raises(VprError, match=r"another image in .* has this name"):
        open_dataset("pairs", tmp_path)


def test_frames_csv_with_categories(tmp_path):
    (tmp_path / "frames.csv").write_text("path,split,category\na,database,cup\nb,database,hat\nc,query,hat\n")
    for frames in (open_dataset("frames", tmp_path), open_dataset(str(tmp_path / "frames.csv"))):
        assert [frame.category for frame in frames.frames] == ["cup", "hat", "hat"] and not frames.frames[0].extra
        right = positives(frames.split("query").frames, frames.split("database").frames, frames.tolerance)
        assert right.table(2).tolist() == [[False, True]]
    check = check_dataset("frames", tmp_path)
    assert len(check.missing) == 3 and check.tolerance == "of the same category"
    (tmp_path / "frames.csv").write_text("path,split\na,database\nc,query\n")
    assert "no right answers" in check_dataset("frames", tmp_path).problems[-1]
    (tmp_path / "frames.csv").write_text("path,split\na,database\n")
    with pytest.raises(VprError, match="no row has split 'query'"):
        check_dataset("frames", tmp_path)


# Things, not places

SOP = "image_id class_id super_class_id path\n"


def test_online_products(tmp_path):
    rows = ["1 1 1 bicycle_final/1_0.JPG", "2 11319 1 bicycle_final/2_0.JPG", "3 11319 1 bicycle_final/2_1.JPG"]
    rows += ["4 11320 2 sofa_final/3_0.JPG", "5 11320 2 sofa_final/3_1.JPG"]
    for base, images in (("", ""), ("Info_Files", "images")):
        root = tmp_path / (images or "flat")
        (root / base).mkdir(parents=True)
        (root / base / "Ebay_test.txt").write_text(SOP + "\n".join(rows[1:]) + "\n")
        for row in rows[1:]:
            image(root / images / row.split()[3])
        check = check_dataset("sop", root)
        assert (check.database, check.queries, check.missing, check.without_positives) == (4, 4, (), ())
        assert check.problems[-1] == "11316 categories expected, 2 found" and len(check.problems) == 3
    frames = open_dataset("sop", root)
    right = positives(frames.split("query").frames, frames.split("database").frames, frames.tolerance)
    assert right.rows.tolist() == [1, 0, 3, 2]  # the other image of the product, never itself
    (root / "Info_Files" / "Ebay_test.txt").rename(root / "Info_Files" / "Ebay_info.txt")
    (root / "Info_Files" / "Ebay_info.txt").write_text(SOP + "\n".join(rows))
    assert [frame.label for frame in open_dataset("sop", root).frames] == [frame.label for frame in frames.frames]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            SOP + "1 11319 1 a.jpg\n2 11319 a.jpg\n",
            "line 3: expected image_id class_id super_class_id path, found '2 11319",
        ),
        (SOP + "1 eleven 1 a.jpg\n", "line 2: class_id must be a whole number, found 'eleven'"),
        ("id,class\n1,2\n", "line 1: expected the columns image_id class_id .*found id,class"),
        (SOP, "lists no test image"),
        ("", "found none"),
    ],
)
def test_broken_lists_of_online_products(tmp_path, text, words):
    (tmp_path / "Ebay_test.txt").write_text(text)
    with pytest.raises(VprError, match=words):
        open_dataset("sop", tmp_path)


def test_a_list_that_is_binary(tmp_path):
    (tmp_path / "Ebay_test.txt").write_bytes(b"\xff\xfe\x80\x81")
    with pytest.raises(VprError, match="cannot be read as text"):
        open_dataset("sop", tmp_path)


IN_SHOP = "5\nimage_name item_id evaluation_status\n"


@pytest.mark.parametrize("images", ["", "Img"])
def test_in_shop(tmp_path, images):
    rows = [("a/1.jpg", "id_1", "train"), ("a/2.jpg", "id_2", "query"), ("a/3.jpg", "id_2", "gallery")]
    rows += [("b/4.jpg", "id_4", "gallery"), ("b/5.jpg", "id_4", "query")]
    (tmp_path / "Eval").mkdir()
    text = "".join(f"img/{name:<70}{item}  {status}\n" for name, item, status in rows)
    (tmp_path / "Eval" / "list_eval_partition.txt").write_text(IN_SHOP + text)
    for name, _, _ in rows[1:]:
        image(tmp_path / images / "img" / name)
    frames = open_dataset("inshop", tmp_path)
    assert [frame.label for frame in frames.split("database").frames] == ["img/a/3.jpg", "img/b/4.jpg"]
    right = positives(frames.split("query").frames, frames.split("database").frames, frames.tolerance)
    assert right.table(2).tolist() == [[True, False], [False, True]]
    check = check_dataset("inshop", tmp_path)
    assert not check.missing and check.problems[0] == "12612 database images expected, 2 found"
    for text, words in (
        ("img/a 1 test\n", "line 3: evaluation_status must be gallery, query, train, found 'test'"),
        ("img/a 1\n", "line 3: expected image_name item_id evaluation_status, found 'img/a 1'"),
        ("img/a 1 query\n", "no line has evaluation_status gallery"),
        ("img/a 1 gallery\n", "no line has evaluation_status query"),
    ):
        (tmp_path / "Eval" / "list_eval_partition.txt").write_text(IN_SHOP + text)
        with pytest.raises(VprError, match=words):
            open_dataset("inshop", tmp_path)
