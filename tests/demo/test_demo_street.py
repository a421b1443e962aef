"""The drawn street: its table, its images, its geometry, and that a query resembles its place more than others."""

import csv
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from vpr_aesvc.demo import COLUMNS, SPACING, draw_route
from vpr_aesvc.demo.render import Camera, Surface, Texture, World, render
from vpr_aesvc.demo.scene import Fixed
from vpr_aesvc.demo.street import HALF_WIDTH, Street

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
    """The table of a route drawn into an existing empty folder, and the calls of `progress`."""
    progress_calls: list[tuple[int, int]] = []
    out = tmp_path_factory.mktemp("short")
    table = draw_route(out, places=10, queries=1, seed=5, progress=lambda *call: progress_calls.append(call))
    return table, progress_calls


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
        image = cv2.imread(str(route.parent / row["path"]))
        assert image is not None and image.shape == (240, 320, 3)
        assert image.std() > 20  # neither blank nor black
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
    place_xy, query_xy = column(database, "easting", "northing"), column(queries, "easting", "northing")
    apart = np.linalg.norm(query_xy[:, None] - place_xy[None], axis=2)
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
    """Of two images of one place the contours fall on each other, whatever the light; of two places they do not."""

    def contours(row: dict[str, str]) -> np.ndarray:
        gray = cv2.imread(str(route.parent / row["path"]), cv2.IMREAD_GRAYSCALE)
        gray = cv2.resize(gray, (80, 60), interpolation=cv2.INTER_AREA).astype(np.float32)
        edges = np.hypot(cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1))
        edges = cv2.GaussianBlur(edges, (0, 0), 1.5)[:45].ravel()  # the road, below, looks alike everywhere
        return (edges - edges.mean()) / edges.std()

    place_xy, query_xy = (column(split, "easting", "northing") for split in (database, queries))
    alike = np.array([contours(q) for q in queries]) @ np.array([contours(d) for d in database]).T / (80 * 45)
    apart = np.linalg.norm(query_xy[:, None] - place_xy[None], axis=2)
    same_place, other_places = alike[apart < 2.5].mean(), alike[apart > 10].mean()
    assert same_place > other_places + 0.1


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


def test_evening_light_is_warmer_than_morning_light(route, database, queries):
    def red_over_blue(rows: list[dict[str, str]]) -> float:
        blue, _, red = np.mean([cv2.imread(str(route.parent / row["path"])).mean((0, 1)) for row in rows], axis=0)
        return red / blue

    assert red_over_blue(queries) > red_over_blue(database) + 0.1


@pytest.mark.parametrize("seed", range(12))
def test_a_street_never_meets_itself(seed):
    street = Street.plan(400, np.random.default_rng(seed))
    along = np.arange(0, street.length, 2.0)
    points = street.point(along)
    assert np.abs(np.linalg.norm(np.diff(points, axis=0), axis=1) - 2).max() < 0.02
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    assert apart[np.abs(along[:, None] - along[None]) > 60].min() > 2 * HALF_WIDTH
    assert np.ptp(street.heading) > np.deg2rad(70)  # and it has bends


@pytest.mark.parametrize("seed", range(3))
def test_house_fronts_line_the_street_on_both_sides(seed):
    rng = np.random.default_rng(seed)
    street = Street.plan(150, rng)
    fronts = Fixed(street, rng).fronts
    middle = street.point(np.arange(0, street.length, 0.25))
    for ends in (np.array([f.corner for f in fronts]), np.array([f.corner + f.across for f in fronts])):
        away = np.linalg.norm(ends[:, None, :2] - middle[None, :, :2], axis=2)
        assert np.abs(away.min(1) - HALF_WIDTH).max() < 0.1
    for one, other in pairwise(fronts):  # neighbors share an edge, or a gap or the street lies between them
        edges = [np.array([f.corner, f.corner + f.across])[:, :2] for f in (one, other)]
        gap = np.linalg.norm(edges[0][:, None] - edges[1][None], axis=2).min()
        assert gap < 1e-6 or gap > 4
    lengths = sum(float(np.linalg.norm(f.across)) for f in fronts)
    assert lengths > 0.6 * 2 * street.length  # the rest are gaps


def test_renderer_puts_points_where_a_pinhole_camera_sees_them():
    """A red square meter 10 m ahead, 1 m to the left and level with the camera."""
    red, black = (np.full((8, 8, 3), color, np.uint8) for color in ((255, 0, 0), (0, 0, 0)))
    square = Surface(red, np.array([10.0, 1.5, 1.7]), np.array([0.0, -1.0, 0.0]), np.array([0.0, 0.0, -1.0]))
    ground = Surface(black, np.array([0.0, 9.0, 0.0]), np.array([9.0, 0.0, 0.0]), np.array([0.0, -9.0, 0.0]))
    sky = np.zeros((32, 64, 3), np.uint8)
    world = World(sky, (0, 0, 0), 1e9, ground=[(ground, Texture(black))], things=[(square, Texture(red))])
    image = render(world, Camera(np.array([0.0, 0.0, 1.2]), heading=0.0))
    rows, columns = np.nonzero(image[:, :, 0] > 127)
    focal = 160 / np.tan(np.deg2rad(37.5))
    assert abs(columns.mean() + 0.5 - (160 - focal * 0.1)) < 0.6
    assert abs(rows.mean() + 0.5 - 120) < 0.6
    assert abs(np.ptp(columns) + 1 - focal * 0.1) < 1.6


def test_nearer_surfaces_hide_farther_ones_whatever_their_order():
    near, far = (np.full((8, 8, 3), color, np.uint8) for color in ((255, 0, 0), (0, 255, 0)))
    across, down = np.array([0.0, -4.0, 0.0]), np.array([0.0, 0.0, -4.0])
    things = [(Surface(p, np.array([x, 2.0, 3.0]), across, down), Texture(p)) for p, x in ((near, 6.0), (far, 8.0))]
    for order in (things, things[::-1]):
        world = World(np.zeros((32, 64, 3), np.uint8), (0, 0, 0), 1e9, ground=order[:1], things=order[1:])
        image = render(world, Camera(np.array([0.0, 0.0, 1.2]), heading=0.0))
        assert image[120, 160].tolist() == [255, 0, 0]
