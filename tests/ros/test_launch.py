"""Launch files with missing files: they end with a message instead of waiting."""

import sys

import pytest

pytest.importorskip("launch_ros", reason="ROS 2 is not sourced")
pytest.importorskip("vpr_aesvc_msgs", reason="the ROS workspace is not built and sourced")

from tests.ros.processes import run


def launch(file, *words):
    return run("ros2", "launch", "vpr_aesvc", file, *words)


@pytest.mark.parametrize("file", ["vpr.launch.py", "map_bag.launch.py", "rtabmap.launch.py"])
def test_every_argument_is_described(file):
    code, output = launch(file, "--show-args")
    assert code == 0 and "no description given" not in output, output
    assert {"'model':", "'map':", "'bag':", "'image_topic':"} <= set(output.split())


def test_a_missing_parameter_file_or_bag():
    for argument in ("params_file", "bag"):
        code, output = launch("vpr.launch.py", f"{argument}:=/nowhere/it")
        assert code == 1 and f"{argument} /nowhere/it: no such file" in output, output


@pytest.mark.parametrize(
    "words, expected",
    [
        (["rviz:=maybe"], "rviz: expected true or false, found 'maybe'"),
        (["cameras:=front,rear", "image_topic:=front/image"], "image_topic: expected 2 topic(s)"),
        (["image_transport:=tartan"], "image_transport 'tartan' is not installed"),
        (["image_transport:=raw", "compressed:=true"], "contradicts compressed:=true"),
    ],
)
def test_a_wrong_argument_is_refused_by_name(words, expected):
    code, output = launch("vpr.launch.py", *words)
    assert code == 1 and expected in output and "Traceback" not in output, output


def test_a_missing_model_ends_the_mapping_of_a_bag(tmp_path):
    path = tmp_path / "m.vprmap"
    code, output = launch("map_bag.launch.py", f"bag:={tmp_path}", "model:=/nowhere/model", f"map:={path}")
    assert code == 1 and "vpr train" in output and "the bag is not played" in output, output
    assert "Traceback" not in output and not path.exists()


def test_without_the_messages_of_rtabmap_its_bridge_says_what_to_install():
    absent = (
        "import sys; sys.modules['rtabmap_msgs'] = None; from vpr_aesvc.ros.rtabmap_main import main; sys.exit(main())"
    )
    code, output = run(sys.executable, "-c", absent)
    assert code == 1 and len(output.splitlines()) == 1 and "sudo apt install ros-DISTRO-rtabmap-msgs" in output, output
