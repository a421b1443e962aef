"""The launch files where something is missing: they end and say what, instead of waiting."""

import subprocess

import pytest

pytest.importorskip("launch_ros", reason="ROS 2 is not sourced")
pytest.importorskip("vpr_aesvc_msgs", reason="the ROS workspace is not built and sourced")


def launch(file, *words):
    done = subprocess.run(["ros2", "launch", "vpr_aesvc", file, *words], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("file", ["vpr.launch.py", "map_bag.launch.py"])
def test_every_argument_is_described(file):
    code, said = launch(file, "--show-args")
    assert code == 0 and "no description given" not in said, said
    assert {"'model':", "'map':", "'bag':", "'image_topic':"} <= set(said.split())


def test_a_file_of_parameters_or_a_bag_that_is_not_there():
    for argument in ("params_file", "bag"):
        code, said = launch("vpr.launch.py", f"{argument}:=/nowhere/it")
        assert code == 1 and f"{argument} /nowhere/it: no such file" in said, said


def test_a_model_that_is_not_there_ends_the_mapping_of_a_bag(tmp_path):
    path = tmp_path / "m.vprmap"
    code, said = launch("map_bag.launch.py", f"bag:={tmp_path}", "model:=/nowhere/model", f"map:={path}")
    assert code == 1 and "vpr train" in said and "the bag is not played" in said, said
    assert "Traceback" not in said and not path.exists()
