"""Models that are learned from a map and stored in it."""

import shutil
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from tests.recognition.laps import is_right, new_map, same_numbers
from vpr_aesvc import PlaceMap, Recognizer, VprError
from vpr_aesvc.placemap.repair import check_map
from vpr_aesvc.recognition import learned_models, learning
from vpr_aesvc.recognition.learned_models import learn_map
from vpr_aesvc.recognition.match_model import stored_name
from vpr_aesvc.recognition.settings import RecognizerSettings

FIRST_LAP = 39
_PROGRAM = """
import sys
from vpr_aesvc import Describer, PlaceMap, Recognizer
place_map = PlaceMap.open(sys.argv[1])
recognizer = Recognizer(place_map, Describer.open(place_map.model_path), learn_in_background=True)
recognizer.update()
assert not recognizer.learned.is_ready(geometry=True)
print(recognizer.learned.progress)
"""


@pytest.fixture(scope="module")
def unlearned(described, tmp_path_factory):
    """A map whose thumbnails take seconds to learn from."""
    describer, frames, descriptors = described
    path = tmp_path_factory.mktemp("unlearned") / "map.vprmap"
    new_map(path, describer, frames[:FIRST_LAP], descriptors[:FIRST_LAP]).close()
    return path


def learned_names(place_map):
    names = f"similarities/{place_map.dim}", stored_name(place_map.dim)
    return [name for name in names if place_map.learned_parameters(name) is not None]


def test_a_program_that_ends_during_learning_ends_well_and_at_once(unlearned, tmp_path):
    """The thread is not killed, which would abort the process inside OpenCV: it ends by itself."""
    path = shutil.copy(unlearned, tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, path], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0 and done.stderr == "" and float(done.stdout) < 1
    with PlaceMap.open(path) as place_map:
        assert stored_name(place_map.dim) not in learned_names(place_map)


def test_answers_come_while_the_map_is_learned(described, unlearned, tmp_path, monkeypatch):
    """Learning takes as many pieces as the test lets it; the progress is that of the work."""
    describer, frames, descriptors = described
    pieces, calls = threading.Semaphore(0), []

    def learn(snapshot, place_map, likelihood, step):
        calls.append(threading.current_thread().name)
        for done in (0.25, 0.5, 0.75):
            pieces.acquire()
            step(done)
        pieces.acquire()
        return learning.learn_matches(snapshot, place_map, likelihood, lambda part: None)

    def wait_until(is_so):
        deadline = time.monotonic() + 60
        while not is_so():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    monkeypatch.setattr(learned_models, "learn_matches", learn)
    with PlaceMap.open(shutil.copy(unlearned, tmp_path)) as place_map:
        recognizer = Recognizer(place_map, describer, learn_in_background=True)
        recognizer.update()
        wait_until(lambda: calls)
        said = []
        for at in range(5, 15):
            found = recognizer.recognize(frames[at], descriptor=descriptors[at])
            assert is_right(found, frames[at])
            if "being learned" not in found.why:
                break
            assert not found.accepted and found.inliers and found.candidates[0].geometry is not None
            said.append(found.why)
            before = recognizer.learned.progress
            pieces.release()
            wait_until(lambda before=before: recognizer.learned.progress != before)
        percent = "the map is being learned ({} %): no match is accepted yet"
        assert said[1:] == [percent.format(number) for number in (32, 55, 78)] and calls == ["vpr_aesvc learning"]
        assert found.accepted and "the sequence gives this place" in found.why  # it went on
        assert learned_names(place_map) == [f"similarities/{place_map.dim}", stored_name(place_map.dim)]
        at_once = Recognizer(place_map, describer)
        at_once.prepare(lambda *_: pytest.fail("learned again"))
        assert same_numbers(at_once.learned.null, recognizer.learned.null)


def test_learning_stops_when_told(described, unlearned, tmp_path):
    describer, *_ = described
    with PlaceMap.open(shutil.copy(unlearned, tmp_path)) as place_map:
        recognizer = Recognizer(place_map, describer, learn_in_background=True)
        recognizer.update()
        threads = [thread for thread in threading.enumerate() if thread.name == "vpr_aesvc learning"]
        recognizer.learned.stop()
        for thread in threads:
            thread.join(60)
        assert len(threads) == 1 and not threads[0].is_alive() and recognizer.learned.progress is None
        assert stored_name(place_map.dim) not in learned_names(place_map)
        assert not check_map(place_map.path).problems


def test_a_map_that_cannot_be_learned_is_an_error_of_each_frame(described, unlearned, tmp_path, monkeypatch):
    describer, frames, descriptors = described

    def fail(*_):
        raise VprError("thumbnail 7 is damaged")

    monkeypatch.setattr(learned_models, "learn_matches", fail)
    with PlaceMap.open(shutil.copy(unlearned, tmp_path)) as place_map:
        recognizer = Recognizer(place_map, describer, learn_in_background=True)
        with pytest.raises(VprError, match="thumbnail 7"):  # at once, or when the thread has failed
            recognizer.prepare()
        for at in (3, 4):
            with pytest.raises(VprError, match="thumbnail 7"):
                recognizer.recognize(frames[at], descriptor=descriptors[at])


def test_learning_a_built_map_leaves_nothing_to_learn(described, unlearned, tmp_path):
    describer, *_ = described
    path = shutil.copy(unlearned, tmp_path)
    done = []
    with PlaceMap.open(path) as place_map:
        learn_map(place_map, lambda *progress: done.append(progress))
        assert done == sorted(done) and len(set(done)) > 20 and done[-1][0] > 90 and done[0] == (0, 100)
    with PlaceMap.open(path) as place_map:
        recognizer = Recognizer(place_map, describer, learn_in_background=True)
        recognizer.update()
        assert recognizer.learned.is_ready(geometry=True) and recognizer.learned.progress is None


def test_stored_models_are_read_and_damaged_ones_are_refused(described, tmp_path):
    describer, frames, descriptors = described
    with new_map(tmp_path / "map.vprmap", describer, frames[:30], descriptors[:30]) as place_map:
        settings = RecognizerSettings(geometry=False)
        learned = Recognizer(place_map, describer, settings)
        learned.prepare()
        name = f"similarities/{describer.dim}"
        stored = place_map.learned_parameters(name)
        old = {  # as an older version stored them, with fields that are no longer used
            "null": {**stored["worth"]["null"], "knots": []},
            "evidence": {**stored["worth"]["evidence"], "center": 0.0, "spread": 0.1},
        }
        place_map.store_learned_parameters(name, {**stored, "worth": old})
        read = Recognizer(place_map, describer, settings)
        read.prepare()
        assert read.learned.null == learned.learned.null and read.learned.likelihood == learned.learned.likelihood
        assert np.isfinite(read.learned.likelihood.sharpness)
        for key, value, words in (
            ("evidence", {**old["evidence"], "sharpness": "much"}, "similarity likelihood is damaged"),
            ("evidence", {"sharpness": 1.0}, "similarity likelihood is damaged"),
            ("null", {}, "null model is damaged"),
        ):
            place_map.store_learned_parameters(name, {**stored, "worth": {**old, key: value}})
            with pytest.raises(VprError, match=words):
                Recognizer(place_map, describer, settings).prepare()
