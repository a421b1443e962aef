"""Recognition of a whole run at once."""

from dataclasses import replace

import numpy as np
import pytest

from tests.command import refused, vpr
from tests.recognition.laps import is_right, new_map, recognized
from vpr_aesvc import PlaceMap, Recognizer, VprError
from vpr_aesvc.recognition.run import recognize_run
from vpr_aesvc.recognition.settings import RecognizerSettings


def test_later_frames_locate_the_first_ones(described, lap):
    describer, frames, descriptors = described
    path, first = lap
    queries, rows = frames[first:], descriptors[first:]
    with PlaceMap.open(path) as place_map:
        recognizer = Recognizer(place_map, describer, RecognizerSettings(geometry=False))
        online = recognized(recognizer, queries, rows)
        found = recognize_run(recognizer, queries, rows)
        assert found == recognize_run(recognizer, queries, rows)
        everything = recognize_run(Recognizer(place_map, describer), queries, rows)
    right, before = (
        np.array([is_right(one, frame) for one, frame in zip(part, queries, strict=True)]) for part in (found, online)
    )
    assert right.mean() >= max(0.95, before.mean())
    assert all(is_right(one, frame) for one, frame in zip(everything, queries, strict=True) if one.accepted)
    assert np.mean([one.accepted for one in everything]) >= 0.65


def test_later_frames_make_the_first_one_of_the_real_corridor_sure(corridor_loop, mobilenet, described, lap):
    describer, frames, descriptors = described
    path, first = lap
    with PlaceMap.open(path) as place_map:
        recognizer = Recognizer(place_map, describer, RecognizerSettings(geometry=False))
        online = recognizer.recognize(frames[first], descriptor=descriptors[first])
        smoothed = recognize_run(recognizer, frames[first:], descriptors[first:])
    assert smoothed[0].probability > 0.9 > online.probability


def test_requirements_of_a_run(described, lap, tmp_path):
    describer, frames, descriptors = described
    path, first = lap
    with PlaceMap.open(path) as place_map:
        recognizer = Recognizer(place_map, describer, RecognizerSettings(geometry=False))
        assert recognize_run(recognizer, []) == []
        [one] = recognize_run(recognizer, frames[first : first + 1])  # described here
        assert one.best.place.id == recognizer.recognize(frames[first], descriptor=descriptors[first]).best.place.id
        with pytest.raises(VprError, match="descriptors for 1 frames, found 2"):
            recognize_run(recognizer, frames[first : first + 1], descriptors[:2])
        with pytest.raises(VprError, match="sequence"):
            recognize_run(Recognizer(place_map, describer, RecognizerSettings(sequence=False)), frames[:1])
    with new_map(tmp_path / "empty.vprmap", describer, [], None) as place_map:
        nothing = recognize_run(Recognizer(place_map, describer), [replace(frames[0], image=None)], descriptors[:1])
        assert nothing[0].why == "the map is empty"


def test_the_command(described, lap, loop_folder):
    describer, _, _ = described
    path, _ = lap
    done = vpr("query", path, loop_folder, "-m", describer.path, "--smooth")
    assert done.returncode == 0 and "44 accepted" in done.stderr.replace("of 44", "44") and "R@1" in done.stderr
    refused(vpr("query", path, loop_folder, "-m", describer.path, "--smooth", "--no-sequence"), "--no-sequence")
