"""The synthetic route: its table, its pictures, and that two traverses of one street can be told from two streets."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from vpr_aesvc.demo import COLUMNS, SPACING, draw_route
from vpr_aesvc.demo.render import Air, Camera, Surface, Texture, World, render
from vpr_aesvc.demo.town import HALF_WIDTH, plan

PLACES, QUERIES = 24, 8


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def column(rows: list[dict[str, str]], *names: str) -> np.ndarray:
    return np.array([[float(row[name]) for name in names] for row in rows])


@pytest.fixture(scope="module")
def route(tmp_path_factory) -> Path:
    return draw_route(tmp_path_factory.mktemp("route") / "street", places=PLACES, queries=QUERIES, seed=3)


@pytest.fixture(scope="module")
def short(tmp_path_factory) -> tuple[Path, list[tuple[int, int]]]:
    """The table of a route drawn into a folder that was there, empty, and what `progress` was told meanwhile."""
    told: list[tuple[int, int]] = []
    out = tmp_path_factory.mktemp("short")
    return draw_route(out, places=10, queries=1, seed=5, progress=lambda done, total: told.append((done, total))), told


@pytest.fixture(scope="module")
def rows(route) -> list[dict[str, str]]:
    return rows_of(route)


@pytest.fixture(scope="module")
def database(rows) -> list[dict[str, str]]:
    return [row for row in rows if row["split"] == "database"]


@pytest.fixture(scope="module")
def queries(rows) -> list[dict[str, str]]:
    return [row for row in rows if row["split"] == "query"]


def test_table_has_the_columns_and_a_row_per_frame(route, rows, database, queries):
    assert route.name == "frames.csv"
    assert route.read_text(encoding="utf-8").splitlines()[0] == ",".join(COLUMNS)
    assert (len(database), len(queries), len(rows)) == (PLACES, QUERIES, PLACES + QUERIES)
    assert {row["sequence"] for row in database} == {"morning"}
    assert {row["sequence"] for row in queries} == {"evening"}
    for traverse in (database, queries):
        assert [int(row["index"]) for row in traverse] == list(range(len(traverse)))


def test_images_are_where_the_table_says_and_nowhere_else(route, rows):
    for row in rows:
        picture = cv2.imread(str(route.parent / row["path"]))
        assert picture is not None and picture.shape == (240, 320, 3)
        assert picture.std() > 20  # neither blank nor black
    assert len(list(route.parent.rglob("*.jpg"))) == len(rows)
    assert [path.name for path in route.parent.parent.iterdir()] == [route.parent.name]  # no draft is left behind


def test_poses_are_evenly_spaced_and_headings_point_along_the_way(database):
    at, heading = column(database, "easting", "northing"), column(database, "heading")[:, 0]
    steps = np.diff(at, axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    assert np.abs(lengths - SPACING).max() < 0.25
    course = np.arctan2(steps[:, 1], steps[:, 0])
    error = (heading[:-1] - course + np.pi) % (2 * np.pi) - np.pi
    assert np.abs(error).max() < np.deg2rad(8)
    assert (np.diff(column(database, "stamp")[:, 0]) > 0).all()


def test_both_traverses_cover_the_route(database, queries):
    mapped, asked = column(database, "easting", "northing"), column(queries, "easting", "northing")
    apart = np.linalg.norm(asked[:, None] - mapped[None], axis=2)
    assert apart.min(axis=1).max() < 2.5  # every query has a place
    assert apart.min(axis=0).max() < 0.6 * PLACES * SPACING / QUERIES + 2.5  # every stretch has a query
    assert column(queries, "stamp").min() > column(database, "stamp").max()


def test_same_seed_same_pixels_other_seed_other_pixels(short, route, tmp_path):
    first, again = short[0], draw_route(tmp_path / "again", places=10, queries=1, seed=5)
    assert first.read_bytes() == again.read_bytes()
    for row in rows_of(first):
        pixels = cv2.imread(str(first.parent / row["path"]))
        assert np.array_equal(pixels, cv2.imread(str(again.parent / row["path"])))
        assert not np.array_equal(pixels, cv2.imread(str(route.parent / row["path"])))


def test_query_resembles_its_place_more_than_others(route, database, queries):
    """Of two pictures of one place the contours fall on each other, whatever the light; of two places they do not."""

    def contours(row: dict[str, str]) -> np.ndarray:
        gray = cv2.imread(str(route.parent / row["path"]), cv2.IMREAD_GRAYSCALE)
        gray = cv2.resize(gray, (80, 60), interpolation=cv2.INTER_AREA).astype(np.float32)
        edges = np.hypot(cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1))
        edges = cv2.GaussianBlur(edges, (0, 0), 1.5)[:45].ravel()  # the road, below, looks alike everywhere
        return (edges - edges.mean()) / edges.std()

    mapped, asked = (column(split, "easting", "northing") for split in (database, queries))
    alike = np.array([contours(q) for q in queries]) @ np.array([contours(d) for d in database]).T / (80 * 45)
    apart = np.linalg.norm(asked[:, None] - mapped[None], axis=2)
    here, elsewhere = alike[apart < 2.5].mean(), alike[apart > 10].mean()
    assert here > elsewhere + 0.1


def test_progress_counts_every_frame(short):
    assert short[1] == [(i, 11) for i in range(1, 12)]


def test_empty_folder_is_used(short):
    table = short[0]
    assert sorted(path.name for path in table.parent.iterdir()) == ["frames.csv", "images"]
    assert len(rows_of(table)) == 11


def test_full_folder_and_file_are_refused(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "note.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("kept", "file"):
        with pytest.raises(FileExistsError, match=name):
            draw_route(tmp_path / name, places=10, queries=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "kept"]
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["note.txt"]


@pytest.mark.parametrize("wrong", [{"places": 9}, {"queries": 0}])
def test_too_few_frames_are_refused(tmp_path, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        draw_route(tmp_path / "route", **wrong)
    assert not (tmp_path / "route").exists()


def test_interrupted_drawing_leaves_nothing(tmp_path):
    def interrupt(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw_route(tmp_path / "route", places=10, queries=1, progress=interrupt)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seed", range(12))
def test_streets_are_lined_without_holes_or_overlaps(seed):
    town = plan(400, seed)
    assert sum(leg.length for leg in town.legs[:-1]) >= 400
    assert max(abs(leg.turn_after) for leg in town.legs) <= np.deg2rad(90.001)
    for index, leg in enumerate(town.legs):
        for side in (1, -1):
            begin, end = leg.extent(side * HALF_WIDTH)
            plots = [plot for plot in town.plots if (plot.leg, plot.side) == (index, side)]
            edges = [begin, *(plot.start + plot.width for plot in plots)]
            assert np.allclose([plot.start for plot in plots], edges[:-1])
            assert abs(edges[-1] - end) < 0.6


def test_renderer_puts_points_where_a_pinhole_camera_sees_them():
    """A red square meter 10 m ahead, 1 m to the left and level with the camera."""
    red = Texture(np.full((8, 8, 3), (255, 0, 0), np.uint8))
    square = Surface(red, np.array([10.0, 1.5, 1.7]), np.array([0.0, -1.0, 0.0]), np.array([0.0, 0.0, -1.0]))
    clear = Air(haze_color=(0, 0, 0), haze_distance=1e9, shadow=(1, 1, 1))
    camera = Camera(np.array([0.0, 0.0, 1.2]), heading=0.0)
    picture = render(World(surfaces=[square]), camera, np.zeros((32, 64, 3), np.uint8), clear)
    rows, columns = np.nonzero(picture[:, :, 0] > 127)
    focal = 160 / np.tan(np.deg2rad(37.5))
    assert abs(columns.mean() + 0.5 - (160 - focal * 0.1)) < 0.6
    assert abs(rows.mean() + 0.5 - 120) < 0.6
    assert abs(np.ptp(columns) + 1 - focal * 0.1) < 1.6
