"""Robots come and go: what they push and pull, again and after interruptions."""

import importlib
import threading

import numpy as np
import pytest

from tests.fleet.maps import new_fleet_map, new_url
from tests.pages import ROOT, blocks
from tests.placemap.places import META, drive, new_map, unit_rows
from vpr_aesvc.errors import VprError
from vpr_aesvc.fleet import open_fleet_map
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.where import Where
from vpr_aesvc.types import Intrinsics, Pose

pytest.importorskip("psycopg")
fleet_push = importlib.import_module("vpr_aesvc.fleet.push")
fleet_pull = importlib.import_module("vpr_aesvc.fleet.pull")
push, pull, Area = fleet_push.push, fleet_pull.pull, fleet_pull.Area


def push_map(place_map, url, robot="r1", frame="map"):
    with fleet_push.fleet_map_for(url, place_map) as fleet:
        done = push(place_map, fleet, robot, frame)
        return done.added, done.removed, done.moved


def pull_map(url, path, area=None, steps=None):
    with (
        open_fleet_map(url) as fleet,
        PlaceMap.open(path) if path.exists() else PlaceMap.create_like(path, fleet.meta) as place_map,
    ):
        done = pull(fleet, place_map, area, steps)
        return done.added, done.removed, done.moved


def labels(place_map):
    return sorted(place.label for place in place_map.places().values())


@pytest.fixture
def url(postgres):
    return new_url(postgres)


@pytest.mark.parametrize("change", ["removed", "moved", "added", "in another frame"])
def test_an_open_map_sees_what_another_robot_changes(url, tmp_path, change):
    rows = unit_rows(30)

    def answers(fleet):
        found = [fleet.search(rows[2], 8, where=where) for where in (Where(pose=Pose(0, 0), within=6), None)]
        return [[(one.place, one.similarity) for one in matches] for matches in found]

    with new_map(tmp_path / "r1.vprmap", drive(30), rows) as mine, new_map(tmp_path / "r2.vprmap", [], None) as other:
        push_map(mine, url)
        with open_fleet_map(url + "&frame=map") as fleet:
            before = answers(fleet)
            if change == "removed":
                mine.remove([3])
            elif change == "moved":
                mine.set_poses({3: Pose(100, 100), 30: Pose(1, 1)})
            else:
                other.add(drive(3, "tuesday"), rows[[2, 2, 2]])
            push_map(mine, url)
            push_map(other, url, "r2", "elsewhere" if change == "in another frame" else "map")
            with open_fleet_map(url + "&frame=map") as fresh:
                assert answers(fleet) == answers(fresh) != before


def test_pushed_again_adds_nothing_and_changes_follow(url, tmp_path):
    with new_map(tmp_path / "r1.vprmap", drive(30), unit_rows(30)) as mine:
        mine.start_traverse("monday", 1.7e9, None, "a bag")
        assert push_map(mine, url) == (30, 0, 0) and push_map(mine, url) == (0, 0, 0)
        mine.add(drive(5, "tuesday"), unit_rows(5, seed=1))
        mine.remove([1, 2])
        mine.set_poses({3: Pose(9, 9)})
        assert push_map(mine, url) == (5, 2, 1) and push_map(mine, url) == (0, 0, 0)
        with open_fleet_map(url) as fleet:
            assert labels(fleet) == labels(mine) and len(fleet) == 33
            assert list(fleet.traverses()) == ["r1/monday", "r1/tuesday"]
            first = fleet.traverses()["r1/monday"]
            assert (first.started, first.robot, first.notes) == (1.7e9, "r1", "a bag")
            revised = next(iter(fleet.places()))
            assert fleet.places()[revised].pose == Pose(9, 9)
            fleet.set_poses(
                {revised: Pose(8, 8)}
            )  # corrected in the fleet: the robot, which changed nothing, does not undo it
            assert push_map(mine, url) == (0, 0, 0) and fleet.places()[revised].pose == Pose(8, 8)


def test_cameras_and_what_is_said_of_traverses_travel_along(url, tmp_path):
    camera = Intrinsics(500.0, 501.0, 320.0, 240.0, "plumb_bob", (0.1, 0.0, 0.0, 0.0)), (640, 480)
    with new_map(tmp_path / "r1.vprmap", drive(3), unit_rows(3)) as mine:
        mine.start_traverse("monday", 1.7e9, None, "a bag")
        mine.set_camera("monday", *camera)
        push_map(mine, url)
        pull_map(url, tmp_path / "here.vprmap")
        for one in (open_fleet_map(url), PlaceMap.open(tmp_path / "here.vprmap")):
            with one:
                assert one.cameras() == {("r1/monday", ""): camera}
                assert one.camera_of(next(iter(one.places().values()))) == camera
                traverse = one.traverses()["r1/monday"]
                assert (traverse.started, traverse.robot, traverse.notes) == (1.7e9, "r1", "a bag")
        other = Intrinsics(400.0, 400.0, 320.0, 240.0), (640, 480)
        mine.set_camera("monday", *other, replace=True)
        push_map(mine, url)
    pull_map(url, tmp_path / "here.vprmap")
    with PlaceMap.open(tmp_path / "here.vprmap") as here, open_fleet_map(url) as fleet:
        assert here.cameras() == {("r1/monday", ""): other} == fleet.cameras()
        with pytest.raises(VprError, match="has another camera already"):
            fleet.set_camera("r1/monday", *camera)
        with pytest.raises(VprError, match="has no traverse 'friday'"):
            fleet.set_camera("friday", *camera)


def test_two_maps_of_one_robot_and_two_robots_do_not_collide(url, tmp_path):
    for at, robot in enumerate(("r1", "r1", "r2")):
        with new_map(tmp_path / f"{at}.vprmap", drive(10), unit_rows(10)) as mine:
            assert push_map(mine, url, robot) == (10, 0, 0)
    with open_fleet_map(url) as fleet:
        assert len(fleet) == 30 and list(fleet.traverses()) == ["r1/monday", "r1/monday-2", "r2/monday"]


def test_an_interrupted_push_goes_on(url, tmp_path, monkeypatch):
    monkeypatch.setattr(fleet_push.rows, "BATCH", 10)

    def interrupt(done, _of):
        if done >= 20:
            raise KeyboardInterrupt

    with new_map(tmp_path / "r1.vprmap", drive(50), unit_rows(50)) as mine:
        with fleet_push.fleet_map_for(url, mine) as fleet, pytest.raises(KeyboardInterrupt):
            push(mine, fleet, "r1", "map", interrupt)
        with open_fleet_map(url) as fleet:
            assert len(fleet) == 20
        assert push_map(mine, url) == (30, 0, 0)


def test_the_same_map_pushed_by_two_processes_at_once(url, tmp_path, monkeypatch):
    monkeypatch.setattr(fleet_push.rows, "BATCH", 20)
    results = []
    new_map(tmp_path / "r1.vprmap", drive(400), unit_rows(400)).close()
    new_map(tmp_path / "r2.vprmap", drive(1), unit_rows(1)).close()
    with PlaceMap.open(tmp_path / "r2.vprmap") as other:
        push_map(other, url, "r2")

    def go():
        with PlaceMap.open(tmp_path / "r1.vprmap") as mine:
            results.append(push_map(mine, url)[0])

    threads = [threading.Thread(target=go) for _ in range(3)]
    [one.start() for one in threads]
    [one.join() for one in threads]
    assert len(results) == 3 and sum(results) == 400
    with open_fleet_map(url) as fleet:
        assert len(fleet) == 401 and len(fleet.places()) == 401


def test_two_robots_that_make_the_map_at_once(url, tmp_path):
    results = []

    def go(robot):
        with new_map(tmp_path / f"{robot}.vprmap", drive(20), unit_rows(20)) as mine:
            results.append(push_map(mine, url, robot))

    threads = [threading.Thread(target=go, args=(f"r{at}",)) for at in range(4)]
    [one.start() for one in threads]
    [one.join() for one in threads]
    assert results == [(20, 0, 0)] * 4
    with open_fleet_map(url) as fleet:
        assert len(fleet.places()) == 80


def test_a_pulled_map_answers_offline_as_the_fleet_does(url, tmp_path):
    with new_map(tmp_path / "r1.vprmap", drive(200), unit_rows(200)) as mine:
        push_map(mine, url)
    area = Area(30, 0, 10)
    assert pull_map(url, tmp_path / "here.vprmap", area) == (41, 0, 0)
    queries = unit_rows(20, seed=5)
    with open_fleet_map(url) as fleet, PlaceMap.open(tmp_path / "here.vprmap") as here:
        near = Where(pose=Pose(30, 0), within=10)
        expected = fleet.search(queries, 50, where=near)
        for one, other in zip(expected, here.search(queries, 50), strict=True):
            assert [m.place.label for m in one] == [m.place.label for m in other]
            assert [m.place.pose for m in one] == [m.place.pose for m in other]
            assert np.allclose([m.similarity for m in one], [m.similarity for m in other], atol=1e-6)
        traverse = here.traverses()["r1/monday"]
        assert traverse.robot == "r1" and here.model_fingerprint == META["model_fingerprint"]


def test_what_changed_since_is_pulled_and_nothing_twice(url, tmp_path):
    here = tmp_path / "here.vprmap"
    with new_map(tmp_path / "r1.vprmap", drive(30), unit_rows(30)) as mine:
        push_map(mine, url)
        assert pull_map(url, here) == (30, 0, 0) and pull_map(url, here) == (0, 0, 0)
        mine.add(drive(3, "tuesday"), unit_rows(3, seed=1))
        mine.remove([30])
        mine.set_poses({1: Pose(5, 5)})
        push_map(mine, url)
        assert pull_map(url, here) == (3, 1, 1) and pull_map(url, here) == (0, 0, 0)
        with PlaceMap.open(here) as pulled:
            assert labels(pulled) == labels(mine)
            assert pulled.search(unit_rows(30)[0], 1)[0].place.pose == Pose(5, 5)
            # A pulled place is never pushed, also not by another robot.
            assert push_map(pulled, url, "r2") == (0, 0, 0)


def test_a_place_that_moves_into_the_area_is_pulled(url, tmp_path):
    here, area = tmp_path / "here.vprmap", Area(100, 0, 5)
    with new_map(tmp_path / "r1.vprmap", drive(10), unit_rows(10)) as mine:
        push_map(mine, url)
        assert pull_map(url, here, area) == (0, 0, 0)
        mine.set_poses({4: Pose(101, 0)})
        push_map(mine, url)
        assert pull_map(url, here, area) == (1, 0, 0) and pull_map(url, here, area) == (0, 0, 0)
    assert pull_map(url, here, Area(0, 0, 1)) == (3, 0, 0)  # another area: not only what changed


def test_an_interrupted_pull_goes_on(url, tmp_path, monkeypatch):
    here = tmp_path / "here.vprmap"
    with new_map(tmp_path / "r1.vprmap", drive(50), unit_rows(50)) as mine:
        push_map(mine, url)
        monkeypatch.setattr(fleet_pull.rows, "BATCH", 10)

        def interrupt(done, _of):
            if done >= 20:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            pull_map(url, here, None, interrupt)
        assert pull_map(url, here) == (30, 0, 0)
        with PlaceMap.open(here) as pulled:
            assert labels(pulled) == labels(mine)


def test_a_late_commit_is_never_missed(url, tmp_path):
    """A transaction that began, and took its ids, before others, and commits after they were pulled."""
    from vpr_aesvc.fleet import places as rows
    from vpr_aesvc.placemap.place_row import numbers_of, words_of

    here = tmp_path / "here.vprmap"
    with new_fleet_map(url, drive(3), unit_rows(3)) as early, open_fleet_map(url) as late:
        (frame,) = drive(1)
        with late.connection.transaction() as db:
            traverse = early.traverses()["monday"].id
            (number,) = rows.next_ids(db, 1)
            half = unit_rows(1, seed=9)[0].astype(np.float16)
            place = rows.StoredPlace(number, traverse, 9999, numbers_of(frame), words_of(frame), half)
            rows.insert_places(db, late.map_id, [place])
            early.add(drive(2, "tuesday"), unit_rows(2, seed=1))  # larger ids, committed first
            assert pull_map(url, here) == (5, 0, 0)
            assert pull_map(url, here) == (0, 0, 0)
            with early.arrays() as arrays:
                assert len(arrays) == 5
        assert pull_map(url, here) == (1, 0, 0) and pull_map(url, here) == (0, 0, 0)
        with early.arrays() as arrays:
            assert list(arrays.ids) == sorted(early.places()) and len(arrays) == 6


def test_sync_of_two_robots(url, tmp_path):
    paths = [tmp_path / "r1.vprmap", tmp_path / "r2.vprmap"]
    for at, path in enumerate(paths):
        new_map(path, drive(20), unit_rows(20, seed=at)).close()
    for _ in range(2):
        for robot, path in zip(("r1", "r2"), paths, strict=True):
            with PlaceMap.open(path) as mine, fleet_push.fleet_map_for(url, mine) as fleet:
                push(mine, fleet, robot, "map")
                pull(fleet, mine)
    for path in paths:
        with PlaceMap.open(path) as mine:
            assert len(mine) == 40 and len(mine.traverses()) == 2
    with open_fleet_map(url) as fleet:
        assert len(fleet) == 40


def test_a_foreign_model_is_refused_by_name(url, tmp_path):
    other = {**META, "model_family": "fedcba9876543210"}
    with new_map(tmp_path / "r1.vprmap", drive(3), unit_rows(3)) as mine:
        push_map(mine, url)
    with PlaceMap.create_like(tmp_path / "r2.vprmap", other) as foreign:
        with pytest.raises(
            VprError, match=r"holds places of model 0123456789abcdef, .*r2\.vprmap was made with fedcba98"
        ):
            push_map(foreign, url)
        with open_fleet_map(url) as fleet, pytest.raises(VprError, match="pull into a new map"):
            pull(fleet, foreign)
        from vpr_aesvc.fleet.fleet_map import FleetMap

        FleetMap.create(url, other).close()  # a second map of the name, beside the first
        assert push_map(foreign, url, "r2") == (0, 0, 0)
        with pytest.raises(VprError, match="choose one with &family=MODEL"):
            open_fleet_map(url)
        with open_fleet_map(f"{url}&family=fedcba9876543210") as second:
            assert len(second) == 0


def test_descriptors_of_another_size_are_refused(url, tmp_path):
    short = {**META, "dim": "16", "sizes": "[8, 16]"}
    with new_map(tmp_path / "r1.vprmap", drive(3), unit_rows(3)) as mine:
        push_map(mine, url)
    with PlaceMap.create_like(tmp_path / "r2.vprmap", short) as other:
        with pytest.raises(VprError, match=r"r2\.vprmap: holds descriptors of 16 numbers, .* of 32; build one of them"):
            push_map(other, url)
        with open_fleet_map(url) as fleet, pytest.raises(VprError, match=r"of 32 numbers, .* of 16; build one of them"):
            pull(fleet, other)


def test_meters_compare_within_one_frame_only(url, tmp_path):
    for robot, frame in (("r1", "map"), ("r2", "utm32")):
        with new_map(tmp_path / f"{robot}.vprmap", drive(10), unit_rows(10)) as mine:
            push_map(mine, url, robot, frame)
            with pytest.raises(VprError, match=f"is there in the frame {frame}, not odom"):
                mine.add(drive(1), unit_rows(1, seed=1))
                push_map(mine, url, robot, "odom")
    near = Where(pose=Pose(0, 0), within=2)
    with open_fleet_map(url) as fleet:
        assert len(fleet.search(unit_rows(1)[0], 99)) == 20
        with pytest.raises(
            VprError, match="has poses in the frames map, utm32, which cannot be compared; add &frame=map"
        ):
            fleet.search(unit_rows(1)[0], 99, where=near)
    with pytest.raises(VprError, match="add &frame=map"):
        pull_map(url, tmp_path / "here.vprmap")
    with open_fleet_map(f"{url}&frame=utm32") as fleet:
        found = fleet.search(unit_rows(1)[0], 99, where=near)
        assert {match.place.traverse for match in found} == {"r2/monday"} and len(found) == 5
        assert sum(place.pose is not None for place in fleet.places().values()) == 10
        with fleet.arrays() as arrays:
            assert np.isfinite(arrays.poses[:, 0]).sum() == 10
    assert pull_map(f"{url}&frame=utm32", tmp_path / "there.vprmap") == (10, 0, 0)


def test_the_roles_of_the_documentation(postgres, url, tmp_path):
    """A reader asks, recognizes and pulls; a robot pushes, too."""
    import psycopg

    (grants,) = [block.text for block in blocks(ROOT / "docs" / "fleet.md") if block.language == "sql"]
    mine = new_map(tmp_path / "r1.vprmap", drive(5), unit_rows(5))
    push_map(mine, url)
    with psycopg.connect(postgres.url, autocommit=True) as db:
        db.execute(grants)
    try:
        mine.add(drive(2, "tuesday"), unit_rows(2, seed=1))
        mine.remove([1])
        mine.set_poses({2: Pose(9, 9)})
        mine.set_camera("monday", Intrinsics(500.0, 501.0, 320.0, 240.0), (640, 480))
        assert push_map(mine, url.replace("postgres@", "robot@")) == (2, 1, 1)
        reading = url.replace("postgres@", "reader@")
        with open_fleet_map(reading) as fleet:
            assert len(fleet.search(unit_rows(1)[0], 9, where=Where(pose=Pose(1, 0), within=0.6))) == 3
            with fleet.arrays() as arrays:
                assert len(arrays) == 6
            for change in (
                lambda: fleet.add(drive(1), unit_rows(1)),
                lambda: fleet.remove([1]),
                lambda: fleet.store_learned_parameters("null", 1),
            ):
                with pytest.raises(VprError, match=r"this role may not do that .*; nothing was changed"):
                    change()
        assert pull_map(reading, tmp_path / "here.vprmap") == (6, 0, 0)
    finally:
        mine.close()
        with psycopg.connect(postgres.url, autocommit=True) as db:
            db.execute("DROP OWNED BY robot; DROP OWNED BY reader; DROP ROLE robot; DROP ROLE reader")
