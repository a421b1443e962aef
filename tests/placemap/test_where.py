"""Conditions inside the search: the result equals brute force over the places that are allowed."""

import numpy as np
import pytest

from tests.placemap.places import DIM, drive, new_map, unit_rows
from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap.where import Where
from vpr_aesvc.types import Frame, Pose


@pytest.fixture(scope="module")
def two_drives(tmp_path_factory):
    """Monday and tuesday, 100 places each, tuesday two meters beside monday; then five places without stamp or pose."""
    frames = drive(100) + [
        Frame(f.label, stamp=f.stamp + 1e4, pose=Pose(f.pose.x, 2.0), sequence="tuesday") for f in drive(100)
    ]
    frames += [Frame(f"bare-{i}", sequence="bare") for i in range(5)]
    with new_map(tmp_path_factory.mktemp("where") / "m.vprmap", frames) as place_map:
        yield place_map, frames


CASES = {
    "recent_seconds": (
        Where(stamp=1049.5, recent_seconds=10),
        lambda f: f.stamp is None or abs(f.stamp - 1049.5) >= 10,
    ),
    "recent_meters": (
        Where(traverse="monday", recent_meters=5),
        lambda f: f.sequence != "monday" or f.pose.x <= 49.5 - 5,
    ),
    "recent_meters from a pose": (
        Where(traverse="tuesday", pose=Pose(53.5, 2), recent_meters=5),
        lambda f: f.sequence != "tuesday" or f.pose.x <= 53.5 - 5,
    ),
    "recent_places": (Where(recent_places=7), lambda f: not f.label.startswith("bare") and f.stamp <= 11048.5),
    "a traverse": (Where(without_traverses=("monday", "bare")), lambda f: f.sequence == "tuesday"),
    "beyond": (
        Where(pose=Pose(10, 0), beyond=6),
        lambda f: f.pose is None or np.hypot(f.pose.x - 10, f.pose.y) >= 6,
    ),
    "within": (
        Where(pose=Pose(10, 0), within=6),
        lambda f: f.pose is not None and np.hypot(f.pose.x - 10, f.pose.y) <= 6,
    ),
    "all at once": (
        Where(stamp=1005, recent_seconds=3, pose=Pose(2, 0), within=4, without_traverses=("tuesday",)),
        lambda f: f.sequence == "monday" and abs(f.pose.x - 2) <= 4 and abs(f.stamp - 1005) >= 3,
    ),
    "nothing is left": (Where(pose=Pose(1e6, 0), within=1), lambda f: False),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("size", [16, None])
def test_equals_brute_force_over_the_allowed_places(two_drives, case, size):
    place_map, frames = two_drives
    where, allowed = CASES[case]
    queries = unit_rows(20, seed=3)
    stored = place_map.descriptors()[1].astype(np.float32)
    keep = [at for at, frame in enumerate(frames) if allowed(frame)]
    cut = size or DIM
    q, d = (x[:, :cut] / np.linalg.norm(x[:, :cut], axis=1, keepdims=True) for x in (queries, stored[keep]))
    found = place_map.search(queries, k=9, size=size, where=where)
    for cosines, matches in zip(q @ d.T, found, strict=True):
        best = np.argsort(-cosines)[:9]
        assert [match.place.label for match in matches] == [frames[keep[at]].label for at in best]
        assert np.allclose([match.similarity for match in matches], cosines[best], atol=1e-5)


def test_removed_places_are_not_found_and_the_rest_is(tmp_path):
    rows = unit_rows(50)
    with new_map(tmp_path / "m.vprmap", drive(50), rows) as place_map:
        assert place_map.search(rows[7], 1)[0].place.id == 8
        assert place_map.remove([8, 9, 999]) == 2
        assert len(place_map) == 48 and 8 not in place_map.places()
        assert place_map.search(rows[7], 50)[0].place.id not in (8, 9)
        assert len(place_map.search(rows[7], 50)) == 48
        # Removed places are not counted as recent.
        last = Where(recent_places=2)
        place_map.remove([50])
        assert {match.place.id for match in place_map.search(rows[0], 99, where=last)}.isdisjoint({48, 49, 50})
        assert place_map.add(drive(1, "new"), rows[:1]) == [51]  # an id is never given twice
        assert place_map.search(rows[0], 2)[1].place.id in (1, 51)


def test_recent_meters_are_measured_along_the_driven_path(tmp_path):
    """At the end of a loop the robot is near its first place, and far from it along the path."""
    angles = np.linspace(0, 2 * np.pi, 41)
    frames = [Frame(str(i), pose=Pose(10 * np.cos(a), 10 * np.sin(a)), sequence="loop") for i, a in enumerate(angles)]
    with new_map(tmp_path / "m.vprmap", frames) as place_map:
        found = place_map.search(unit_rows(1)[0], 99, where=Where(recent_meters=8))
        assert {int(match.place.label) for match in found} == set(range(41 - 6))


def test_mistakes(two_drives):
    place_map, _ = two_drives
    query = unit_rows(1)
    with pytest.raises(VprError, match="recent_seconds needs the frame's stamp"):
        Where(recent_seconds=5)
    with pytest.raises(VprError, match="within needs the frame's pose"):
        Where(within=5)
    with pytest.raises(VprError, match="beyond must not be negative"):
        Where(pose=Pose(0, 0), beyond=-1)
    with pytest.raises(VprError, match="no traverse 'friday'; it has monday, tuesday, bare"):
        place_map.search(query, where=Where(without_traverses=("friday",)))
