"""Mode slam with two cameras: the front camera comes to places that the rear camera has mapped, which is mounted elsewhere."""

import time
from contextlib import closing

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not sourced")
pytest.importorskip("vpr_aesvc_msgs", reason="the ROS workspace is not built and sourced")

from sensor_msgs.msg import CameraInfo, Image

from tests.recordings.corridor import SMEARED, STEP
from tests.ros import world
from tests.ros.front_rear import MOUNTS, base_at, frame_at, image_seen, number_seen
from tests.ros.patience import wait_for
from tests.ros.processes import vpr_node
from tests.ros.robot import Robot, image_message, wait_for_subscription
from vpr_aesvc import PlaceMap
from vpr_aesvc.ros.convert import pose_of
from vpr_aesvc.transforms import OPTICAL, compose, distance, inverse, relative_pose
from vpr_aesvc.types import Intrinsics

FRAMES = world.corridor()[:60]


def test_a_loop_closure_between_two_cameras_is_of_the_bases(tmp_path):
    values = {"model": world.model(), "map": tmp_path / "slam.vprmap", "mode": "slam", "cameras": "[front, rear]"}
    values |= {"recognition__recent_seconds": 4.0, "recognition__false_positive_rate": 0.01, "autostart": "true"}
    names = [f"{name}/image:=/{name}/image" for name in MOUNTS]
    with closing(Robot()) as robot, vpr_node(*names, **values):
        images = {name: robot.publisher(Image, f"/{name}/image") for name in MOUNTS}
        for name, mount in MOUNTS.items():
            robot.publish_mount(compose(mount, OPTICAL), f"{name}_optical_frame")
        for publisher in (*images.values(), robot.odometry):
            wait_for_subscription(publisher)
        time.sleep(1)  # the mounts come
        sent = 0
        for frame in FRAMES:
            robot.publish_odometry(frame.stamp, base_at(frame))
            for name, publisher in images.items():
                if number_seen(frame, name) != SMEARED:
                    publisher.publish(image_message(image_seen(frame, name), frame.stamp, f"{name}_optical_frame"))
                    sent += 1
            robot.wait_for_matches(sent)
            time.sleep(0.2)  # the node learns from the growing map between frames
        closures = list(robot.closures)
    with PlaceMap.open(values["map"]) as place_map:
        cameras = {number: place.extra["camera"] for number, place in place_map.places().items()}
    between = [one for one in closures if cameras[one.from_place] != cameras[one.to_place]]
    assert len(between) >= 5, len(closures)
    for one in between:
        mounts = MOUNTS[cameras[one.from_place]], MOUNTS[cameras[one.to_place]]
        relative = pose_of(one.relative_pose.pose)
        assert distance(relative, compose(mounts[0], inverse(mounts[1]))) < 1e-6  # the cameras are at one place
        driven = relative_pose(base_at(frame_at(one.from_stamp)), base_at(frame_at(one.header.stamp)))
        assert distance(relative, driven) < 5 * STEP  # 7 m if both mounts were the same


def test_mapping_stores_each_camera_and_says_which_calibration_does_not_fit(tmp_path):
    values = {"model": world.model(), "map": tmp_path / "m.vprmap", "mode": "mapping", "cameras": "[front, rear, left]"}
    values |= {"pose_source": "none", "keyframes__seconds": 0.0, "autostart": "true", "traverse": "drive"}
    values |= {"diagnostics_period": 0.2}
    names = [
        f"{name}/{topic}:=/{name}/{topic}" for name in ("front", "rear", "left") for topic in ("image", "camera_info")
    ]
    fisheye, rational = (0.01, -0.02, 0.003, 0.0), (0.1, 0.2, 0.0, 0.0, 0.01, 0.15, 0.1, 0.0)
    with closing(Robot()) as robot, vpr_node(*names, **values):
        images = {name: robot.publisher(Image, f"/{name}/image") for name in ("front", "rear", "left")}
        infos = [robot.publisher(CameraInfo, f"/{name}/camera_info") for name in images]
        for publisher in (*images.values(), *infos):
            wait_for_subscription(publisher)
        height, width = image_seen(FRAMES[0], "front").shape[:2]
        robot.publish_camera_info(width, height, fisheye, "/front/camera_info")
        robot.publish_camera_info(2 * width, 2 * height, rational, "/rear/camera_info")
        robot.publish_camera_info(width, width, fisheye, "/left/camera_info")  # of another aspect ratio
        time.sleep(1)  # the calibrations come
        for number, (name, publisher) in enumerate(images.items(), 1):
            publisher.publish(image_message(image_seen(FRAMES[number], "front"), FRAMES[number].stamp, name))
            wait_for(lambda count=number: int(robot.diagnostics()["places added"]) == count, what=f"{number} places")
        found = robot.diagnostics()
        assert int(found["bad input: camera_info"]) == 1 and "another aspect ratio" in str(found), found
    center = (width - 1) / 2, (height - 1) / 2
    with PlaceMap.open(values["map"]) as place_map:
        expected = {
            ("drive", "front"): (Intrinsics(800.0, 800.0, *center, "equidistant", fisheye), (width, height)),
            ("drive", "rear"): (Intrinsics(400.0, 400.0, *center, "rational_polynomial", rational), (width, height)),
        }
        assert place_map.cameras() == expected
        assert [place_map.camera_of(one) for one in place_map.places().values()] == [*expected.values(), None]
