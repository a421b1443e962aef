"""``vpr doctor`` on a real ROS graph: a robot without faults, and one test per fault. The node is the real one, in its own process."""

import json
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not sourced")
pytest.importorskip("vpr_aesvc_msgs", reason="the ROS workspace is not built and sourced")

from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo

from tests.command import VPR
from tests.ros import world
from tests.ros.patience import patience, wait_for
from tests.ros.processes import Process, run, running_node, vpr_node
from tests.ros.robot import Robot, image_message, time_message
from vpr_aesvc.ros.doctor import join_graph
from vpr_aesvc.transforms import OPTICAL
from vpr_aesvc.types import Pose

IMAGE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


class Driver:
    """Publishes images, camera_info and odometry until it is closed.

    Args:
        k: focal length; 0 of a camera that is not calibrated.
        age: of the stamps in seconds; None for zero stamps.
        rate: images per second.
    """

    def __init__(
        self, robot, age=0.0, frame="camera_optical_frame", encoding="rgb8", images=True, info=True, rate=20, k=50.0
    ):
        self._ending = threading.Event()

        def run():
            while not self._ending.wait(1 / rate):
                stamp = 0.0 if age is None else time.time() - age
                if images:
                    message = image_message(IMAGE, stamp, frame)
                    message.encoding = encoding
                    robot.images.publish(message)
                if info:
                    message = CameraInfo(k=[k, 0.0, 32.0 * bool(k), 0.0, k, 24.0 * bool(k), 0.0, 0.0, float(bool(k))])
                    robot.camera_info.publish(message)
                robot.publish_odometry(stamp, Pose(1, 2))

        self._thread = threading.Thread(target=run)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._ending.set()
        self._thread.join()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("vpr_aesvc.ros.doctor._DISCOVERY", 0.7 * patience())


@pytest.fixture(scope="module")
def robot():
    robot = Robot()
    try:
        robot.publish_mount(OPTICAL)
        time.sleep(1)  # it discovers the others
        # DDS knows a node that was killed by an earlier file for 10 s.
        wait_for(lambda: "vpr_node" not in robot.node.get_node_names(), what="the end of other nodes")
        yield robot
    finally:
        robot.close()


def node(*remappings, **options):
    """The node, by default active on the robot's topics."""
    return running_node(*remappings, "camera_info:=/camera/camera_info", "odom:=/odom", **options)


def check(wanted=None):
    with join_graph(wanted) as robot:
        return robot.run(duration=3 * patience())


def faults(findings):
    return [finding for finding in findings if finding.level == "error"]


def only_fault(findings, *words):
    """The only fault; asserts that it contains all words, and that cause and remedy are one line each."""
    (fault,) = faults(findings)
    assert all(word in fault.what for word in words) and fault.advice, fault
    assert "\n" not in fault.what + fault.advice
    return fault


def test_a_robot_without_faults(robot):
    with Driver(robot), node():
        findings = check()
    assert not faults(findings), faults(findings)
    words = " | ".join(finding.what for finding in findings if finding.level == "ok")
    assert "is active" in words and "/camera/image_raw: " in words and "/odom: " in words
    (absent,) = check()
    assert absent.level == "warning" and "is not running" in absent.what and "ros2 launch" in absent.advice


def test_exit_codes_of_the_command(robot, tmp_path):
    command = [*VPR, "doctor", "--seconds", 6 * patience()]
    with Driver(robot, rate=2):
        with node():
            code, output = run(*command)
            assert code == 0, output
            assert "is active" in output and "model and map agree" in output and str(world.lap_map()) in output
            damaged = tmp_path / "damaged.vprmap"
            data = bytearray(world.lap_map().read_bytes())
            data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
            damaged.write_bytes(data)
            code, output = run(*command, "--map", damaged)
            assert code == 1 and str(damaged) in output and "salvage" in output, output
        with node("image:=/camera/image_rwa"):
            code, output = run(*command)
            assert code == 1 and "nobody publishes /camera/image_rwa" in output, output
            assert "similar: /camera/image_raw; set image_topic:=/camera/image_raw" in output, output


def test_stamps_that_are_old_in_the_future_or_zero(robot):
    for age, words in ((60.0, "behind"), (-60.0, "ahead of"), (None, "are zero")):
        with Driver(robot, age), node():
            result = [fault for fault in faults(check()) if words in fault.what]
        assert len(result) == 2 and all(fault.advice for fault in result), result


def test_a_camera_frame_without_a_transform(robot):
    with Driver(robot, frame="elsewhere"), node():
        fault = only_fault(check(), "node /vpr_node says: no pose is published", "frame 'elsewhere' does not exist")
        assert "static_transform" in fault.advice and "camera_mount" in fault.advice


def test_odometry_of_another_frame(robot):
    with Driver(robot), node(base_frame="chassis", assume_camera_is_base=True):
        assert "base_frame" in only_fault(check(), "/odom has poses of 'base_link'", "'chassis'").advice


def test_the_clock_of_a_simulation(robot):
    with Driver(robot), node(use_sim_time=True):
        assert "use_sim_time:=false" in only_fault(check(), "has use_sim_time, but nobody publishes /clock").advice
    clock = robot.node.create_publisher(Clock, "/clock", 1)
    ending = threading.Event()

    def tick():
        while not ending.wait(0.02):
            clock.publish(Clock(clock=time_message(time.time() - 1000)))

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        with Driver(robot, age=1000), node() as process:
            assert (
                "use_sim_time:=true" in only_fault(check(), "/clock is published, but node /vpr_node does not").advice
            )
            process.send(signal.SIGINT)
            process.wait()
            with node(use_sim_time=True):
                assert not faults(check())
    finally:
        ending.set()
        thread.join()
        robot.node.destroy_publisher(clock)


def test_an_uncalibrated_camera_and_an_unknown_encoding(robot):
    with Driver(robot, encoding="tartan", k=0.0), node():
        found = " | ".join(fault.what for fault in faults(check()))
        assert "'tartan'" in found and "/camera/camera_info: all zeros" in found


def test_a_camera_faster_than_the_machine(robot):
    with Driver(robot, rate=1000), node(threads=1):
        fault = only_fault(check(), "images were dropped: an image takes ")
        assert "max_rate" in fault.advice


def test_two_publishers_of_one_topic(robot):
    other = Robot("other")
    try:
        with Driver(robot), node():
            result = faults(check())
    finally:
        other.close()
    assert any("2 publishers: /other, /robot" in fault.what and fault.advice for fault in result), result


def test_a_node_that_is_not_active_or_not_alone(robot, tmp_path):
    with Driver(robot), node(autostart=False) as process:
        assert robot.state() == "unconfigured"
        fault = only_fault(check(), "node /vpr_node is unconfigured")
        assert "ros2 lifecycle set /vpr_node configure" in fault.advice
        with node():
            assert any("2 nodes have the name /vpr_node" in fault.what for fault in faults(check()))
        process.send(signal.SIGINT)
        process.wait()
    with Driver(robot), node(map=tmp_path / "no.vprmap", says="map not found"):
        only_fault(check(), "node /vpr_node is unconfigured", "no.vprmap: map not found")


@pytest.mark.parametrize(
    "module, words",
    [
        ("vpr_aesvc_msgs", "the package vpr_aesvc_msgs is not built or not sourced"),
        ("tf2_ros", "cannot import tf2_ros"),
        ("rclpy", "ROS 2 is not sourced"),
    ],
)
def test_a_failed_import_is_named_as_what_it_is(module, words):
    code = f"import sys; sys.modules[{module!r}] = None; sys.argv = ['vpr_node']; from vpr_aesvc.ros.main import main; sys.exit(main())"
    node = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert node.returncode == 1 and words in node.stderr and node.stderr.count("\n") == 1, node.stderr
    code = f"import sys; sys.modules[{module!r}] = None; sys.argv = ['vpr', 'doctor', '-m', {str(world.model())!r}, '--json']; from vpr_aesvc.cli.main import main; main()"
    doctor = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    found = [one for one in json.loads(doctor.stdout) if one["level"] != "ok"]
    if module == "tf2_ros":
        return  # the command does not use it
    assert doctor.returncode == (0 if module == "rclpy" else 1), doctor.stderr
    assert len(found) == 1 and words in found[0]["what"] and found[0]["advice"], found


def test_arguments_that_ros_cannot_read():
    with vpr_node(camera_mount="[0.3, 0, 0.5, 0, 0, 0]") as process:
        assert process.wait() == 1 and "Traceback" not in process.output, process.output
        assert "error: failed to initialize rcl" in process.output and "as in [0.0, 1.5]" in process.output


def test_ctrl_c_ends_the_command_at_once():
    with node(), Process(*VPR, "doctor", "--seconds", "600") as process:
        process.wait_for_output("listening")
        time.sleep(5 * patience())
        process.send(signal.SIGINT)
        assert process.wait() == 130 and "Traceback" not in process.output, process.output
