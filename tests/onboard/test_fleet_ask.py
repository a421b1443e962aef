"""A robot comes to a place that only another robot knows: the fleet is asked, and its places come into the robot's map, while frames go on."""

import signal
import time
from functools import partial

import numpy as np
import pytest

from tests.fleet.maps import new_url
from tests.onboard.test_fleet_push import until
from tests.placemap.places import drive, new_map, unit_rows
from tests.recordings.corridor import SMEARED, corridor_frames
from vpr_aesvc import Describer, PlaceMap, read_image
from vpr_aesvc.fleet import open_fleet_map
from vpr_aesvc.keyframes.gate import KeyframeSettings
from vpr_aesvc.onboard.engine import Engine, IncomingFrame
from vpr_aesvc.onboard.fleet_ask import FleetAsk
from vpr_aesvc.recognition.learned_models import learn_map
from vpr_aesvc.recognition.result import Recognition
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.types import Frame, Pose

FAR = 1000.0  # meters
pytest.importorskip("psycopg")


def push_map(path, url, robot):
    from vpr_aesvc.fleet.push import fleet_map_for, push

    with PlaceMap.open(path) as place_map, fleet_map_for(url, place_map) as fleet:
        return push(place_map, fleet, robot, "map").added


@pytest.fixture(scope="module")
def maps(loop_folder, loop_model, tmp_path_factory):
    """The first lap, and its first third; the frames of the later laps; the model."""
    describer, folder = Describer.open(loop_model), tmp_path_factory.mktemp("maps")
    frames = [frame for frame in corridor_frames(loop_folder) if frame.number != SMEARED]
    lap = [frame for frame in frames if frame.lap == 1]
    images = [read_image(frame.path) for frame in lap]
    rows = np.stack([describer.describe(image) for image in images])
    places = [Frame(f"{frame.number}", stamp=frame.stamp, pose=frame.pose, sequence="lap") for frame in lap]
    for name, count in (("lap", len(lap)), ("third", len(lap) // 3)):
        with PlaceMap.create(folder / f"{name}.vprmap", describer) as place_map:
            place_map.add(places[:count], rows[:count], images[:count])
            if name == "lap":
                far = [Frame(f"far {at}", pose=Pose(FAR + at, 0.0), sequence="far") for at in range(30)]
                place_map.add(far, unit_rows(30, seed=5, dim=rows.shape[1]))
            else:
                learn_map(place_map)
    return folder, [frame for frame in frames if frame.lap > 1], describer


def test_the_robot_recognizes_what_another_robot_mapped(maps, postgres):
    folder, later, describer = maps
    url, mine = new_url(postgres, thumbnails="yes"), folder / "third.vprmap"
    push_map(folder / "lap.vprmap", url, "r2")
    own = push_map(mine, url, "r1")  # its own places are no answer
    unknown = later[own + 5 : own + 13]
    with PlaceMap.open(mine) as place_map:
        engine = Engine(place_map, describer, "localization", RecognizerSettings(), KeyframeSettings(), "")
        engine.prepare()
        until(lambda: engine.learned.progress is None)
        asking = FleetAsk(mine, url, "r1", "map", patience=1.0, period=0.05)
        stamp = later[0].stamp

        def look(frames):
            nonlocal stamp
            engine.reset("the robot was put back")
            for frame in frames:
                stamp += 0.5
                given = Frame(str(frame.number), stamp=stamp)
                outcome = engine.process(
                    IncomingFrame("", given, partial(read_image, frame.path), lambda f=frame: f.pose)
                )
                asking.offer(outcome.recognition, outcome.descriptor, stamp)
                yield outcome.recognition

        postgres.signal(signal.SIGSTOP)  # a server that hangs holds up no frame
        try:
            assert not any(found.accepted for found in look(unknown))
            assert asking.state == "nothing yet" and len(place_map) == own
        finally:
            postgres.signal(signal.SIGCONT)
        until(lambda: asking.error or (list(look(unknown[:1])) and asking.state != "nothing yet"))
        until(lambda: list(look(unknown)) and ("pulled" in asking.state or "all places already" in asking.state))
        assert asking.pulled == len(place_map) - own > 0
        assert not any(place.label.startswith("far") for place in place_map.places().values())
        found = []
        until(lambda: found.extend(look(unknown)) or any(one.accepted for one in found))
        right = [one.best.place for one in found if one.accepted]
        assert {place.traverse for place in right} == {"r2/lap"} and len(place_map) > own
        with open_fleet_map(url) as fleet:  # what was pulled is not pushed again
            assert push_map(mine, url, "r1") == 0 and len(fleet) > own
        asking.close()
        engine.learned.stop()
        until(lambda: not asking._thread.is_alive())


def test_it_asks_only_after_some_time_and_not_while_matches_are_accepted(postgres, tmp_path):
    rows = unit_rows(3)
    with new_map(tmp_path / "m.vprmap", drive(3), rows), new_map(tmp_path / "other.vprmap", drive(3), rows):
        url = new_url(postgres)
        push_map(tmp_path / "other.vprmap", url, "r2")
        asking = FleetAsk(tmp_path / "m.vprmap", url, "r1", "elsewhere", patience=3.0, period=0.05)
        no, yes = Recognition(False, "outside"), Recognition(True, "sure")
        for stamp, answer in ((0.0, no), (2.9, no), (3.0, yes), (4.0, no), (6.9, no), (1.0, no)):
            asking.offer(answer, rows[1], stamp)
            assert asking._question is None
        time.sleep(0.3)
        assert asking.state == "nothing yet" and not asking.error
        asking.offer(no, rows[1], 4.0)
        until(lambda: asking.state != "nothing yet" or asking.error)
        assert "of r2/monday, which has no pose in frame elsewhere" in asking.state, asking.error
        asking.error = "the server cannot be reached"
        asking.offer(yes, rows[1], 5.0)
        until(lambda: not asking.error)  # nothing to ask: nothing is wrong
        asking.close()
