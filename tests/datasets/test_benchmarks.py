import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import DATA
from tests.datasets.images import image
from tests.datasets.pitts_shaped import cut, downloader_name, make_pitts_shaped, write_dbstruct
from vpr_aesvc.datasets.catalog import BENCHMARKS, open_dataset
from vpr_aesvc.datasets.check import check_dataset
from vpr_aesvc.datasets.dbstruct import read_dbstruct
from vpr_aesvc.datasets.netvlad_layouts import canonical_name
from vpr_aesvc.datasets.positives import Tolerance, positives
from vpr_aesvc.errors import VprError
from vpr_aesvc.types import Frame, Pose

PITTS_PLACE = np.array([584825.96, 4476945.61])


@pytest.fixture(scope="module")
def real_pitts():
    mat = DATA / "pitts30k" / "pitts30k_test_reconstructed.mat"
    if not mat.is_file():
        pytest.skip(f"real data is absent: {mat}")
    return mat, np.load(mat.parent / "pitts30k_test.npz")


@pytest.fixture(scope="module")
def layouts(clips_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pitts")
    return [make_pitts_shaped(folder / name, clips_folder, 300, 60, name) for name in ("published", "downloader")]


def utm_of(frames):
    return np.array([[frame.pose.x, frame.pose.y] for frame in frames])


def small_struct(folder: Path, name: str = "pitts30k_test.mat", **changed) -> Path:
    """Two database images and one query of Pittsburgh, with their images."""
    (folder / "datasets").mkdir(parents=True, exist_ok=True)
    names = ["000/000829_pitch1_yaw1.jpg", "000/000829_pitch1_yaw2.jpg"], ["000/000546_pitch1_yaw1.jpg"]
    for path in (*(folder / name for name in names[0]), folder / "queries_real" / names[1][0]):
        image(path)
    place = np.tile(PITTS_PLACE, (2, 1))
    write_dbstruct(folder / "datasets" / name, names[0], place, names[1], place[:1] + 3, **changed)
    return folder


# The real lists


def test_the_real_dbstruct_by_brute_force(real_pitts):
    mat, table = real_pitts
    for frames in (read_dbstruct(mat), open_dataset("pitts30k", mat.parent), open_dataset("pitts30k", mat)):
        database, queries = frames.split("database").frames, frames.split("query").frames
        assert (len(database), len(queries)) == (10_000, 6_816)
        assert np.array_equal(utm_of(database), table["utmDb"]) and np.array_equal(utm_of(queries), table["utmQ"])
        assert frames.tolerance == Tolerance("meters", 25)
    right = positives(queries, database, frames.tolerance)
    for query in range(0, 6_816, 3):
        near = np.flatnonzero(np.linalg.norm(table["utmDb"] - table["utmQ"][query], axis=1) <= 25)
        assert near.size and np.array_equal(right[query], near)


@pytest.mark.parametrize("name", ["pitts30k/pitts30k_test", "tokyo247/tokyo247"])
def test_cutting_coordinates_to_centimeters_changes_no_right_answer(name):
    """What makes the two layouts of a set give one result; see canonical.py."""
    path = DATA / f"{name}.npz"
    if not path.is_file():
        pytest.skip(f"real data is absent: {path}")
    table = np.load(path)
    exact = [[Frame("f", pose=Pose(*place)) for place in table[part].tolist()] for part in ("utmQ", "utmDb")]
    short = [[Frame("f", pose=Pose(float(cut(f.pose.x)), float(cut(f.pose.y)))) for f in part] for part in exact]
    assert exact != short
    first, second = (positives(queries, database) for queries, database in (exact, short))
    assert np.array_equal(first.rows, second.rows) and np.array_equal(first.offsets, second.offsets)


def test_tokyo_with_its_real_coordinates(tmp_path):
    path = DATA / "tokyo247" / "tokyo247.npz"
    if not path.is_file():
        pytest.skip(f"real data is absent: {path}")
    table = np.load(path)
    names = [f"{3814 + n // 5000:05d}/x/{n // 12:022d}_012_{n % 12 * 30:03d}.jpg" for n in range(len(table["utmDb"]))]
    queries = [line.split("/")[-1] for line in (path.parent / "tokyo247_imageNames_query.txt").read_text().split()]
    write_dbstruct(tmp_path / "tokyo247.mat", names, table["utmDb"], queries, table["utmQ"])
    frames = open_dataset("tokyo247", tmp_path)
    database, asked = frames.split("database").frames, frames.split("query").frames
    assert (len(database), len(asked)) == (75_984, 315)
    assert (positives(asked, database, frames.tolerance).counts > 0).all()
    of = {}
    for frame in database:
        of.setdefault(frame.extra["panorama"], []).append((frame.pose.x, frame.pose.y))
    assert len(of) == 6_332 and all(len(places) == 12 and len(set(places)) == 1 for places in of.values())
    assert all(canonical_name(frame.label) == Path(frame.label).name for frame in database[:500])


# Two layouts


def test_both_layouts_are_one_set(layouts):
    first, second = (open_dataset("pitts30k", root) for root in layouts)
    assert [frame.label for frame in first.frames] == [frame.label for frame in second.frames]
    assert [frame.split for frame in first.frames] == [frame.split for frame in second.frames]
    assert [frame.path.resolve() for frame in first.frames] == [frame.path.resolve() for frame in second.frames]
    assert all(frame.path.is_file() for frame in (*first.frames, *second.frames))
    assert np.abs(utm_of(first.frames) - utm_of(second.frames)).max() <= 0.01
    assert first.tolerance == second.tolerance == Tolerance("meters", 25)
    rights = [positives(s.split("query").frames, s.split("database").frames, s.tolerance) for s in (first, second)]
    assert (rights[0].counts > 0).all() and len(rights[0]) == 60
    assert np.array_equal(rights[0].table(300), rights[1].table(300))
    assert first.frames[0].label == "database/000829_pitch1_yaw1"


def test_a_layout_is_found_one_folder_down_and_by_path(layouts, tmp_path):
    (tmp_path / "pitts30k").symlink_to(layouts[0])
    labels = [frame.label for frame in open_dataset("pitts30k", tmp_path).frames]
    assert labels == [frame.label for frame in open_dataset("pitts30k", layouts[1]).frames]
    own = open_dataset(str(layouts[1]))
    assert len(own.split("database")) == 300 and own.tolerance == Tolerance("meters", 25)
    own = open_dataset(str(layouts[0] / "datasets" / "pitts30k_test.mat"))
    assert len(own.split("query")) == 60 and all(frame.path.is_file() for frame in own.frames)


def test_a_mat_without_images_does_not_hide_the_other_layout(layouts, tmp_path):
    shutil.copytree(layouts[1], tmp_path / "both", symlinks=True)
    shutil.copytree(layouts[0] / "datasets", tmp_path / "both" / "datasets")
    assert all(frame.path.is_file() for frame in open_dataset("pitts30k", tmp_path / "both").frames)


def test_a_query_is_never_taken_from_the_database_folder(tmp_path):
    """Pitts250k has a database image of the same name for many a query of Pitts30k."""
    root = small_struct(tmp_path)
    (root / "queries_real").rename(root / "elsewhere")
    image(root / "000" / "000546_pitch1_yaw1.jpg")
    _, problems, _ = check_dataset("pitts30k", root)
    missing = next(names for words, names in problems.items() if "are missing" in words)
    assert missing == [str(root / "queries_real" / "000/000546_pitch1_yaw1.jpg")]


def test_tokyo_in_both_layouts(tmp_path):
    east, north = 381904.46617, 3946329.361939
    panoramas = ["ZbA_0-1xxxxxxxxxxxxxxx", "aB_012_030_xxxxxxxxxxx"]
    published, renamed = tmp_path / "published", tmp_path / "renamed"
    names = []
    for number, panorama in enumerate(panoramas):
        for tile in range(12):
            names.append(f"03814/{panorama}_012_{tile * 30:03d}.jpg")
            image(published / "tokyo247" / names[-1].replace(".jpg", ".png"))
            place = f"@{cut(east + number)}@{cut(north)}@54@S@035.65375@0139.69540"
            image(renamed / "images/test/database" / f"{place}@{panorama}@{tile:02d}@@@@@@@.jpg")
    queries = ["00397.jpg", "00398.jpg", "00399.jpg"]
    for name, time in zip(queries, "DSN", strict=True):
        image(published / "247query_subset_v2" / name)
        row = f"{name},35.653757,139.695402,0,0,{time}\n"
        (published / "247query_subset_v2" / name).with_suffix(".csv").write_text(row)
        place = f"@{cut(east)}@{cut(north)}@54@S@035.65375@0139.69540"
        image(renamed / "images/test/queries" / f"{place}@{name}@@@@@@@@.jpg")
    utm = np.array([[east, north]] * 12 + [[east + 1, north]] * 12)
    write_dbstruct(published / "tokyo247.mat", names, utm, queries, utm[:3])

    first, second = open_dataset("tokyo247", published), open_dataset("tokyo247", renamed)
    assert [frame.label for frame in first.frames] == [frame.label for frame in second.frames]
    assert all(frame.path.is_file() for frame in first.frames)
    for frames in (first, second):
        database = frames.split("database").frames
        assert [frame.extra["panorama"] for frame in database] == sorted(panoramas * 12)
    assert [frame.extra["time"] for frame in first.split("query").frames] == ["day", "sunset", "night"]
    assert not any("time" in frame.extra for frame in second.frames)
    notes = [list(check_dataset("tokyo247", root)[2]) for root in (published, renamed)]
    assert notes[0] == ["queries by day: 1, night: 1, sunset: 1"]
    assert len(notes[1]) == 1 and "unknown: 3; the .csv files of the published folder" in notes[1][0]
    shutil.copytree(published / "247query_subset_v2", renamed / "247query_subset_v2")
    with_times = open_dataset("tokyo247", renamed).split("query").frames
    assert [frame.extra["time"] for frame in with_times] == ["day", "sunset", "night"]


# What is wrong is said


def test_a_part_of_a_set_and_its_holes_are_named(tmp_path):
    root = small_struct(tmp_path)
    counts = ["10000 database images expected, 2 found", "6816 queries expected, 1 found"]
    frames, problems, notes = check_dataset("pitts30k", root)
    assert list(problems) == counts and not notes and str(frames.tolerance) == "within 25 m"
    (root / "000" / "000829_pitch1_yaw2.jpg").unlink()
    (root / "000" / "000829_pitch1_yaw1.jpg").write_bytes(b"")
    _, problems, _ = check_dataset("pitts30k", root)
    assert list(problems) == [*counts, "1 image files are missing", "1 image files are empty (0 bytes)"]
    assert [Path(name).name for names in problems.values() for name in names] == [
        "000829_pitch1_yaw2.jpg",
        "000829_pitch1_yaw1.jpg",
    ]
    small_struct(root, utmQ=(PITTS_PLACE + 26).reshape(2, 1))
    _, problems, _ = check_dataset("pitts30k", root)
    assert problems["1 of 1 queries have no right answer in the database"] == ["query/000546_pitch1_yaw1"]


def test_a_set_that_is_not_there_says_what_it_wants(tmp_path):
    for name, one in BENCHMARKS.items():
        with pytest.raises(VprError) as error:
            open_dataset(name, tmp_path)
        assert all(words in str(error.value) for words in (str(tmp_path), *one.layouts, one.url)), name
    with pytest.raises(
        VprError, match=r"say where it is, with --data FOLDER\. Pitts30k \(test\) needs datasets/pitts30k"
    ):
        open_dataset("pitts30k")
    with pytest.raises(VprError, match="no such set; choose one of pitts30k, tokyo247"):
        open_dataset("oxford", tmp_path)
    with pytest.raises(VprError, match="no such file or folder, and no such set"):
        open_dataset("oxford")
    with pytest.raises(VprError, match=r"expected a frames.csv, one dbStruct .mat, .*found nothing"):
        open_dataset(str(tmp_path))


def test_another_set_is_refused(tmp_path, real_pitts):
    root = small_struct(tmp_path / "train", "pitts30k_train.mat")
    with pytest.raises(
        VprError, match=r"expected pitts30k_test\.mat \(Pitts30k \(test\)\), found only pitts30k_train\.mat"
    ):
        open_dataset("pitts30k", root)
    shutil.copy(real_pitts[0], tmp_path / "tokyo247.mat")
    with pytest.raises(VprError, match=r"expected Tokyo 24/7, 75984 .*; found another set or split, 10000 database"):
        open_dataset("tokyo247", tmp_path)
    count = {"numImages": 10_000.0, "numQueries": 7_416.0}
    names = [f"{n}.jpg" for n in range(10_000)]
    write_dbstruct(
        tmp_path / "pitts30k_test.mat", names, np.zeros((10_000, 2)), names[:7416], np.zeros((7416, 2)), **count
    )
    with pytest.raises(VprError, match="found another set or split, 10000 database images and 7416 queries"):
        open_dataset("pitts30k", tmp_path)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"qImageFns": None}, "no field qImageFns; found whichSet, dbImageFns"),
        ({"utmDb": np.zeros((3, 2))}, "expected 2 x n numbers in utmDb and utmQ, one column an image"),
        ({"utmDb": "words"}, "expected 2 x n numbers in utmDb"),
        ({"numImages": 3.0}, "numImages and numQueries are 3 and 1, but 2 database images and 1 queries"),
        ({"numImages": "many"}, "expected 2 x n numbers .*many"),
        ({"qImageFns": np.array([], object), "utmQ": np.zeros((2, 0)), "numQueries": 0.0}, "at least one of each"),
        ({"utmQ": np.array([[np.nan], [0.0]])}, "a pose must be finite"),
    ],
)
def test_damaged_dbstructs(tmp_path, changed, words):
    with pytest.raises(VprError, match=words):
        read_dbstruct(small_struct(tmp_path, **changed) / "datasets" / "pitts30k_test.mat")


def test_files_that_are_no_dbstruct(layouts, tmp_path, monkeypatch):
    from scipy.io import savemat

    mat = tmp_path / "pitts30k_test.mat"
    with pytest.raises(VprError, match="no such file"):
        read_dbstruct(mat)
    whole = (layouts[0] / "datasets" / mat.name).read_bytes()
    for content in (b"", b"this is text\n" * 100, whole[: len(whole) // 2], whole[:200], bytes(4000)):
        mat.write_bytes(content)
        with pytest.raises(VprError, match=r"cannot be read as a MATLAB file|expected a struct named dbStruct"):
            read_dbstruct(mat)
    savemat(mat, {"weights": np.zeros(3)})
    with pytest.raises(VprError, match=r"expected a struct named dbStruct .*found weights"):
        read_dbstruct(mat)
    savemat(mat, {"dbStruct": np.zeros(3)})
    with pytest.raises(VprError, match=r"expected a struct named dbStruct .*found dbStruct"):
        read_dbstruct(mat)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(VprError, match=r"needs scipy: pip install scipy"):
        read_dbstruct(mat)


def test_images_of_another_format(tmp_path):
    place = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    root = small_struct(tmp_path / "a")
    names = [f"d/{n}.jpg" for n in range(3)]
    write_dbstruct(tmp_path / "own.mat", names, place, ["q/0.jpg"], place[:1])
    for name in (*names, "q/0.jpg"):
        image(tmp_path / Path(name).with_suffix(".png"))
    frames = read_dbstruct(tmp_path / "own.mat")
    assert utm_of(frames.split("database").frames).tolist() == place.tolist()
    assert [frame.path.name for frame in frames.frames] == ["0.png", "1.png", "2.png", "0.png"]
    assert all(frame.path.is_file() for frame in frames.frames) and str(tmp_path) in frames.kind
    assert [frame.path.is_file() for frame in read_dbstruct(root / "datasets/pitts30k_test.mat").frames] == [True] * 3


# Folders


def test_only_the_test_split_is_read(layouts, tmp_path):
    root = shutil.copytree(layouts[1], tmp_path / "all", symlinks=True)
    for split in ("database", "queries"):
        image(root / "images/train" / split / downloader_name("000/000001_pitch1_yaw1.jpg", *PITTS_PLACE))
    assert len(open_dataset("pitts30k", root)) == 360
