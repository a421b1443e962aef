"""`vpr doctor` on files; on a running robot it is tests/ros/test_doctor_on_a_robot.py."""

import json

import pytest

from tests.command import vpr


def findings(run):
    return {(one["level"], one["what"]): one["advice"] for one in json.loads(run.stdout)}


def test_a_map_and_its_model_are_looked_over_and_timed(drawn_map):
    run = vpr("doctor", "--map", drawn_map, "--seconds", 0.5, "--json")
    said = findings(run)
    words = " ".join(what for _, what in said)
    assert "40 places, 40 with a pose" in words and "model and map agree" in words and "on this machine" in words
    if run.returncode:  # with ROS 2 at hand the topics of this test's machine are missing
        assert any(level == "error" and "publishes" in what for level, what in said)


def test_what_is_wrong_is_said_with_what_to_do(drawn_map, drawn_model, tmp_path):
    missing = vpr("doctor", "--map", tmp_path / "no.vprmap")
    assert missing.returncode == 1 and "no.vprmap" in missing.stdout and "vpr map build" in missing.stdout
    assert "Traceback" not in missing.stderr
    nothing = vpr("doctor")
    assert nothing.returncode == 1 and "-m MODEL" in nothing.stdout
    moved = vpr("doctor", "--map", drawn_map, "-m", tmp_path)
    assert moved.returncode == 1 and "vpr train" in moved.stdout


@pytest.mark.parametrize("words", [("--seconds", "0"), ("--nonsense",)])
def test_bad_options_are_refused(words):
    assert vpr("doctor", *words).returncode == 2
