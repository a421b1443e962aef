"""One interface, two homes: the same calls on a .vprmap and on PostgreSQL give the same answers."""

import numpy as np
import pytest

from tests.fleet.maps import new_fleet_map, new_url
from tests.placemap.places import DIM, META, drive, new_map, unit_rows
from tests.placemap.test_where import CASES
from vpr_aesvc.errors import VprError
from vpr_aesvc.fleet import open_map
from vpr_aesvc.placemap.info import map_info
from vpr_aesvc.placemap.where import Where
from vpr_aesvc.recognition.map_snapshot import MapSnapshot
from vpr_aesvc.types import Frame, Pose


@pytest.fixture(params=["vprmap", "postgresql"])
def home(request, tmp_path):
    """Makes a map: a function of frames, descriptors and images. And where it is."""
    if request.param == "vprmap":
        path = tmp_path / "m.vprmap"
        return lambda *given: new_map(path, *given), path
    url = new_url(request.getfixturevalue("postgres"), thumbnails="yes")
    return lambda *given: new_fleet_map(url, *given), url


def two_drives():
    frames = drive(100) + [
        Frame(f.label, stamp=f.stamp + 1e4, pose=Pose(f.pose.x, 2.0), sequence="tuesday") for f in drive(100)
    ]
    return frames + [Frame(f"bare-{i}", sequence="bare") for i in range(5)]


@pytest.fixture(scope="module")
def twins(postgres, tmp_path_factory):
    """The same places in both homes."""
    frames = two_drives()
    with (
        new_map(tmp_path_factory.mktemp("twins") / "m.vprmap", frames) as local,
        new_fleet_map(new_url(postgres), frames) as fleet,
    ):
        yield local, fleet, frames


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("size", [16, None])
def test_every_condition_gives_the_same_places(twins, case, size):
    local, fleet, frames = twins
    where, allowed = CASES[case]
    queries = unit_rows(20, seed=3)
    expected, found = (one.search(queries, k=9, size=size, where=where) for one in (local, fleet))
    for one, other in zip(expected, found, strict=True):
        assert [match.place.label for match in one] == [match.place.label for match in other]
        assert np.allclose([m.similarity for m in one], [m.similarity for m in other], atol=1e-6)
    keep = {f.label for f in frames if allowed(f)}
    assert all(match.place.label in keep for matches in found for match in matches)


def test_each_condition_leaves_out_what_it_says(twins):
    """Not only the best nine: all places that a condition allows come back, and no other."""
    local, fleet, _ = twins
    for where, _ in CASES.values():
        one, other = (
            {(m.place.label, m.place.traverse) for m in place_map.search(unit_rows(1)[0], 300, where=where)}
            for place_map in (local, fleet)
        )
        assert one == other


def test_what_was_added_comes_back(home, random_image):
    make, where = home
    frames = [
        Frame(
            "a.png", stamp=12.5, pose=Pose(1, 2, 3, 0, 0, 0.6, 0.8), sequence="monday", index=4, extra={"floor": "2"}
        ),
        Frame("b.png"),
    ]
    rows = unit_rows(2)
    with make() as place_map:
        ids = place_map.add(frames, rows, [random_image, None])
        place_map.start_traverse("monday", 1.7e9, "r1", "a bag")
        assert place_map.search(rows[0], 1)[0].similarity > 0.999
    with open_map(where) as place_map:
        places = place_map.places()
        assert list(places) == ids and len(place_map) == 2
        first, second = places.values()
        assert (first.label, first.traverse, first.stamp, first.pose) == ("a.png", "monday", 12.5, frames[0].pose)
        assert first.extra == {"floor": "2", "index": "4"}
        assert (second.traverse, second.pose, second.stamp) == ("traverse-1", None, None)
        assert np.array_equal(place_map.descriptors()[0], ids)
        assert np.array_equal(place_map.descriptors()[1], rows.astype(np.float16))
        assert place_map.thumbnail(ids[0]).shape == random_image.shape and place_map.thumbnail(ids[1]) is None
        monday = place_map.traverses()["monday"]
        assert (monday.started, monday.robot, monday.notes) == (1.7e9, "r1", "a bag")
        info = map_info(place_map)
        assert (info.places, info.with_pose, info.bounds) == (2, 1, (1, 2, 1, 2)) and info.size_bytes > 1000
        with pytest.raises(VprError, match="has no place"):
            place_map.places([10**9])
        with pytest.raises(VprError, match="has no place"):
            place_map.thumbnail(10**9)


def test_removed_places_are_not_found_and_ids_are_never_given_twice(home):
    make, _ = home
    rows = unit_rows(50)
    with make(drive(50), rows) as place_map:
        ids = list(place_map.places())
        assert place_map.remove([*ids[7:9], 10**9]) == 2 and place_map.remove(ids[7:9]) == 0
        assert len(place_map) == 48 and ids[7] not in place_map.places()
        assert len(place_map.search(rows[7], 50)) == 48
        assert ids[7] not in [match.place.id for match in place_map.search(rows[7], 50)]
        place_map.remove([ids[49]])
        recent = {match.place.id for match in place_map.search(rows[0], 99, where=Where(recent_places=2))}
        assert recent == set(ids) - {*ids[7:9], *ids[47:50]}
        (new,) = place_map.add(drive(1, "new"), rows[:1])
        assert new > ids[49]
        place_map.remove([new])
        assert list(place_map.traverses()) == ["monday"]


def test_poses_are_revised(home):
    make, _ = home
    with make(drive(20), unit_rows(20)) as place_map:
        ids = list(place_map.places())
        place_map.set_poses({ids[4]: Pose(100, 0)})
        place_map.set_poses({ids[4]: Pose(50, 0), ids[5]: Pose(101, 0)})
        assert place_map.places([ids[4]])[ids[4]].pose == Pose(50, 0)

        def near(x, **words):
            where = Where(pose=Pose(x, 0), **words)
            return {match.place.id for match in place_map.search(unit_rows(1)[0], 99, where=where)}

        assert near(100, within=5) == {ids[5]} and near(50, within=5) == {ids[4]}
        assert near(2, within=0.6) == {ids[3]}  # 1.5 m; the places that were at 2 and 2.5 m moved
        assert near(2, beyond=1) == set(ids) - {ids[3]}
        with pytest.raises(VprError, match="no pose was changed"):
            place_map.set_poses({ids[0]: Pose(9, 9), 10**9: Pose(9, 9)})
        assert place_map.places([ids[0]])[ids[0]].pose == Pose(0, 0)
        with place_map.arrays() as arrays:
            assert arrays.poses[arrays.alive][4, 0] == 50


def test_learned_parameters_are_dropped_when_places_change(home):
    make, _ = home
    with make(drive(4)) as place_map:
        ids = list(place_map.places())
        assert place_map.learned_parameters("null") is None
        for change in (lambda: place_map.remove(ids[:1]), lambda: place_map.set_poses({ids[1]: Pose(9, 9)})):
            place_map.store_learned_parameters("null", [1])
            place_map.store_learned_parameters("null", {"scale": 0.25, "name": "Müller"})
            place_map.add(drive(1, "more"), unit_rows(1))
            assert place_map.learned_parameters("null") == {"scale": 0.25, "name": "Müller"}
            change()
            assert place_map.learned_parameters("null") is None


def test_recognition_sees_what_another_connection_changes(home):
    make, where = home
    rows = unit_rows(40)
    with make(drive(20), rows[:20]) as reader, open_map(where) as writer:
        snapshot = MapSnapshot(reader, DIM)
        assert snapshot.update() == "grown" and snapshot.update() == "none"
        writer.add(drive(10, "tuesday"), rows[20:30])
        assert snapshot.update() == "grown" and len(snapshot) == 30
        assert snapshot.similarities(rows[25]).argmax() == 25
        ids = list(reader.places())
        writer.set_poses({ids[3]: Pose(77, 0)})
        assert snapshot.update() == "moved" and snapshot.poses[3, 0] == 77
        writer.remove(ids[:5])
        assert snapshot.update() == "other" and list(snapshot.ids) == ids[5:]
        assert snapshot.similarities(rows[25]).argmax() == 20


def test_a_batch_is_added_whole_or_not_at_all(home):
    make, _ = home
    rows = unit_rows(2)
    with make() as place_map:
        with pytest.raises(VprError, match="must be finite and of length 1"):
            place_map.add(drive(2), rows * [[1], [2]])
        with pytest.raises(VprError, match="expected descriptors of shape"):
            place_map.add(drive(1), rows)
        with pytest.raises(VprError, match="a stamp must be a finite number"):
            place_map.add([Frame("0"), Frame("1", stamp=np.nan)], rows)
        assert len(place_map) == 0 and place_map.search(rows[0]) == [] and place_map.search(rows) == [[], []]
        with pytest.raises(VprError, match="size 17 is not one this map was made for; choose one of 8, 16, 32"):
            place_map.search(rows, size=17)
        with pytest.raises(VprError, match="the query has 3"):
            place_map.search(rows[:, :3])
        with pytest.raises(VprError, match="k must be at least 1"):
            place_map.search(rows, k=0)
        place_map.add(drive(2), rows)
        with pytest.raises(VprError, match="no traverse 'friday'; it has monday"):
            place_map.search(rows, where=Where(without_traverses=("friday",)))
        with pytest.raises(VprError, match="has a traverse monday already"):
            place_map.require_new_traverses(["monday"])
    with pytest.raises(VprError, match="the map is closed; open it again"):
        len(place_map)


def test_a_blank_image_has_no_cosine(home):
    """Its descriptor is zero: similarity 0, between the places that resemble the query and those that do not."""
    make, _ = home
    rows = np.vstack([unit_rows(2), np.zeros((1, DIM), np.float32)])
    rows[1] = -rows[0]
    with make(drive(3), rows) as place_map:
        for size in (8, DIM):
            found = place_map.search(rows[0], 3, size)
            assert [match.place.label for match in found] == [f"monday/{at}.jpg" for at in (0, 2, 1)]
            assert np.allclose([match.similarity for match in found], [1, 0, -1], atol=1e-3)


def test_meta_has_the_model(home):
    make, _ = home
    with make() as place_map:
        assert {key: place_map.meta[key] for key in META} == META and place_map.dim == DIM
