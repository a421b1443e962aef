"""Backup while a writer writes, merge, prune and trajectory."""

import math
import threading

import numpy as np
import pytest

from tests.placemap.places import DIM, META, drive, new_map, unit_rows
from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.copies import backup, merge
from vpr_aesvc.placemap.poses import set_poses_from_trajectory, write_tum
from vpr_aesvc.placemap.prune import prune
from vpr_aesvc.placemap.repair import check_map
from vpr_aesvc.trajectory import read_trajectory
from vpr_aesvc.transforms import compose, pose_from_euler
from vpr_aesvc.types import Frame, Pose

ROWS = unit_rows(60)


def test_a_backup_while_places_are_added(tmp_path):
    with new_map(tmp_path / "m.vprmap", drive(20), ROWS[:20]) as place_map:
        stop = threading.Event()

        def write():
            with PlaceMap.open(tmp_path / "m.vprmap") as writer:
                while not stop.is_set():
                    writer.add(drive(1), ROWS[:1])

        thread = threading.Thread(target=write)
        thread.start()
        while len(place_map) < 25:
            pass
        acknowledged = len(place_map)
        backup(place_map, tmp_path / "copy.vprmap")
        stop.set()
        thread.join()
        assert not check_map(tmp_path / "copy.vprmap").problems
        with PlaceMap.open(tmp_path / "copy.vprmap") as copy:
            assert acknowledged <= len(copy) <= len(place_map)
        with pytest.raises(VprError, match="exists already"):
            backup(place_map, tmp_path / "copy.vprmap")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.vprmap", "m.vprmap"]


def test_a_backup_does_not_begin_anew_when_a_writer_adds(tmp_path):
    """Some ten megabytes go in several steps; each place added between two of them would make SQLite begin again."""
    noise = np.random.default_rng(0).integers(0, 256, (1000, 120, 160, 3), np.uint8)
    with (
        new_map(tmp_path / "m.vprmap", drive(1000), unit_rows(1000), noise) as place_map,
        PlaceMap.open(tmp_path / "m.vprmap") as writer,
    ):
        steps = []

        def step(done, of):
            steps.append(done)
            if len(steps) < 50:
                writer.add(drive(1), ROWS[:1])

        backup(place_map, tmp_path / "copy.vprmap", step)
    assert 3 <= len(steps) < 10 and steps == sorted(steps)
    with PlaceMap.open(tmp_path / "copy.vprmap") as copy:
        assert len(copy) == 1000  # as it was when the copy began


def test_merge_keeps_all_and_aligns_the_second(tmp_path, random_image):
    with (
        new_map(tmp_path / "a.vprmap", drive(3), ROWS[:3]) as a,
        new_map(tmp_path / "b.vprmap", drive(2), ROWS[5:7], [random_image, None]) as b,
    ):
        b.start_traverse("monday", robot="rover")
        turn = math.radians(90)
        renamed = merge(
            a,
            b,
            tmp_path / "both.vprmap",
            lambda f: Frame(
                f.label, f.path, None, f.stamp, compose(pose_from_euler(10, 20, 0, 0, 0, turn), f.pose), f.sequence
            ),
        )
    assert renamed == {"monday": "monday-2"}
    assert not check_map(tmp_path / "both.vprmap").problems
    with PlaceMap.open(tmp_path / "both.vprmap") as both:
        places = list(both.places().values())
        assert [place.traverse for place in places] == ["monday"] * 3 + ["monday-2"] * 2
        pose = places[4].pose  # half a meter along x, turned left: half a meter along y
        assert np.allclose(pose.as_tuple(), (10, 20.5, 0, 0, 0, math.sin(turn / 2), math.cos(turn / 2)))
        assert both.traverses()["monday-2"].robot == "rover"
        assert np.array_equal(both.descriptors()[1], ROWS[[0, 1, 2, 5, 6]].astype("<f2"))
        assert both.thumbnail(4).shape == random_image.shape and both.thumbnail(5) is None


def test_maps_of_different_models_are_not_merged(tmp_path):
    with (
        new_map(tmp_path / "a.vprmap") as a,
        PlaceMap.create_like(tmp_path / "b.vprmap", {**META, "model_family": "other"}) as b,
        pytest.raises(VprError, match="build one of them again"),
    ):
        merge(a, b, tmp_path / "both.vprmap")
    assert not (tmp_path / "both.vprmap").exists()


def slow_drive(stops=10, each=6, noise=0.02):
    """A robot that stops six frames at each of ten different places, one meter apart: 60 frames that are worth ten."""
    rng = np.random.default_rng(5)
    looks = np.repeat(unit_rows(stops, seed=9), each, 0) + noise * rng.standard_normal((stops * each, DIM))
    frames = [Frame(str(i), pose=Pose(i // each + 0.01 * (i % each), 0), sequence="d") for i in range(stops * each)]
    return frames, (looks / np.linalg.norm(looks, axis=1, keepdims=True)).astype(np.float32)


def test_prune_keeps_coverage_and_says_what_it_costs(tmp_path):
    frames, rows = slow_drive()
    with new_map(tmp_path / "m.vprmap", frames, rows) as place_map:
        assert _covered(place_map, prune(place_map, radius=0.5), 0.5)
        loose = prune(place_map, radius=0.5, max_loss=0)
        assert len(loose.kept) == 10 and loose.loss == 0 and loose.removed == 50 and loose.asked == 40
        exact = prune(place_map, most=25, radius=0.5)
        assert 10 <= len(exact.kept) <= 25 and _covered(place_map, exact, 0.5)
        with pytest.raises(VprError, match="at least 10 places must stay"):
            prune(place_map, most=9, radius=0.5)
        # Over a radius of three stops, which look different, fewer can stay; the more loss is allowed, the fewer do.
        strict, lax = (prune(place_map, radius=3.1, max_loss=loss) for loss in (0.0, 0.5))
        assert 2 <= len(lax.kept) < len(strict.kept) <= 10 and strict.loss == 0 < lax.loss <= 0.5
        # After a removal rows and places are no longer the same numbers.
        place_map.remove(range(1, 13))
        assert len(prune(place_map, radius=0.5, max_loss=0).kept) == 8


def _covered(place_map, pruned, radius):
    places = place_map.places()
    stays = [places[int(kept)].pose.x for kept in pruned.kept]
    return all(min(abs(place.pose.x - x) for x in stays) <= radius for place in places.values())


def test_prune_without_poses_goes_along_the_traverse(tmp_path):
    frames, rows = slow_drive()
    bare = [Frame(frame.label, sequence=frame.sequence) for frame in frames]
    with new_map(tmp_path / "m.vprmap", bare, rows) as place_map:
        found = prune(place_map, max_loss=0.0)
    gaps = np.diff(found.kept)
    assert found.radius is None and gaps.max() <= 4 and 15 <= len(found.kept) < 40


def test_a_trajectory_goes_out_and_corrected_poses_come_back(tmp_path):
    with new_map(tmp_path / "m.vprmap", drive(10), ROWS[:10]) as place_map:
        assert write_tum(place_map.places().values(), tmp_path / "t.tum") == 10
        read = read_trajectory(tmp_path / "t.tum")
        found = list(zip(read.stamps, read.poses, strict=True))
        assert [stamp for stamp, _ in found] == [1000 + i / 2 for i in range(10)] and found[3][1] == Pose(1.5, 0)
        turned = [(stamp + 0.01, Pose(0, pose.x, 0, 0, 0, 1, 0)) for stamp, pose in found[:8]]
        assert set_poses_from_trajectory(place_map, turned, 0.05) == (8, 2)
        places = list(place_map.places().values())
        assert places[7].pose == Pose(0, 3.5, 0, 0, 0, 1, 0) and places[8].pose == Pose(4, 0)
        with pytest.raises(VprError, match=r"no place is within 0\.05 s"):
            set_poses_from_trajectory(place_map, [(5.0, Pose(0, 0))], 0.05)
        with pytest.raises(VprError, match="has no place 99; no pose was changed"):
            place_map.set_poses({1: Pose(7, 7), 99: Pose(0, 0)})
        assert place_map.places([1])[1].pose == Pose(0, 0, 0, 0, 0, 1, 0)
    assert not check_map(tmp_path / "m.vprmap").problems


def test_a_map_without_stamps_has_no_trajectory(tmp_path):
    with (
        new_map(tmp_path / "m.vprmap", [Frame("a", pose=Pose(1, 2))], ROWS[:1]) as place_map,
        pytest.raises(VprError, match="no place of the map has both a stamp and a pose"),
    ):
        write_tum(place_map.places().values(), tmp_path / "t.tum")


@pytest.mark.parametrize("line", ["1 2 3", "1 2 3 4 0 0 0 nan", "1 2 3 4 0 0 0 2", "x 2 3 4 0 0 0 1"])
def test_lines_that_are_no_pose(tmp_path, line):
    (tmp_path / "t.tum").write_text(f"# a comment\n0 0 0 0 0 0 0 1\n{line}\n")
    with pytest.raises(VprError, match=r"t\.tum, line 3: expected `stamp x y z qx qy qz qw`"):
        read_trajectory(tmp_path / "t.tum")
