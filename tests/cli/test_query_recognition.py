"""`vpr query` where it is asked to decide."""

import json

import pytest

from tests.command import refused, vpr
from vpr_aesvc import Describer, PlaceMap, Recognizer, RunFollower, open_input


def lines(*words):
    done = vpr("query", *words, "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_matches_are_accepted_or_not_with_a_reason(drawn, drawn_map):
    plain, _ = lines(drawn_map, drawn / "images" / "evening")  # without the table, nothing tells stamps and poses
    assert all(set(line) == {"query", "matches"} for line in plain)
    found, said = lines(drawn_map, drawn, "--sequence", "--geometry", "--false-positive-rate", "0.05")
    assert len(found) == 12 and "accepted at a false-positive rate of 0.05" in said and "R@1" in said
    for line in found:
        assert line["accepted"] == (line["false_positive_rate"] <= 0.05) and 0 <= line["probability"] <= 1
        assert line["why"].startswith("accepted" if line["accepted"] else "not accepted")
    assert any(line["accepted"] for line in found)
    table = vpr("query", drawn_map, drawn, "--false-positive-rate", "0.1")
    assert "accepted" in table.stdout and "why" in table.stdout


def test_a_set_with_stamps_and_poses_is_followed_with_its_odometry(drawn, drawn_map):
    followed, said = lines(drawn_map, drawn)
    assert "of 12 accepted at a false-positive rate of 0.01" in said
    assert all(line["stamp"] is not None and line["covariance"] for line in followed)
    source = open_input(drawn).split("query")
    assert source.is_run and not source.is_recording
    with PlaceMap.open(drawn_map) as place_map:
        follower = RunFollower(Recognizer(place_map, Describer.open(place_map.model_path)))
        for line, frame in zip(followed, source, strict=True):
            result = follower.recognize(frame)
            assert line["matches"][0]["place"] == result.best.place.id and line["accepted"] == result.accepted
            assert line["lost"] == pytest.approx(result.lost, abs=1e-4)  # differs without the odometry


def test_what_cannot_be_asked_for(drawn, drawn_map):
    refused(vpr("query", drawn_map, drawn, "--false-positive-rate", "0.7"), "--false-positive-rate")
    refused(vpr("query", drawn_map, drawn, "--geometry", "--shortlist", "50"), "leave out --shortlist")
