"""Depth images on the node's topic ``depth``: stored with the places of their time, and said where they do not belong."""

import unittest

import numpy as np
import pytest

pytest.importorskip("launch_testing", reason="ROS 2 is not sourced")
pytest.importorskip("vpr_aesvc_msgs", reason="the ROS workspace is not built and sourced")

import launch_testing
from sensor_msgs.msg import Image

from tests.ros import world
from tests.ros.launching import assert_ended_well, description
from tests.ros.patience import TIMEOUT, wait_for
from tests.ros.robot import OPTICAL_FRAME, Robot, wait_for_subscription
from vpr_aesvc import PlaceMap, read_image
from vpr_aesvc.depth import depth_at
from vpr_aesvc.ros.convert import time_message
from vpr_aesvc.transforms import OPTICAL
from vpr_aesvc.types import Pose

MAP = world.folder() / "depth.vprmap"


@pytest.mark.launch_test
def generate_test_description():
    return description(map=str(MAP), mode="mapping", autostart=True, traverse="drive")


def depth_message(millimeters: int, size: tuple[int, int], stamp: float) -> Image:
    pixels = np.full(size, millimeters, np.uint16)
    message = Image(height=size[0], width=size[1], encoding="16UC1", step=2 * size[1])
    message.header.stamp, message.header.frame_id = time_message(stamp), OPTICAL_FRAME
    message.data.frombytes(pixels.tobytes())
    return message


class TestDepth(unittest.TestCase):
    def test_places_have_the_depth_of_their_time(self):
        images = [read_image(one.path) for one in world.corridor()[:4]]
        robot = Robot()
        robot.publish_mount(OPTICAL)
        depths = robot.publisher(Image, "/depth")
        try:
            for publisher in (robot.images, robot.odometry, depths):
                wait_for_subscription(publisher)
            height, width = images[0].shape[:2]
            for number, image in enumerate(images):
                stamp = 1000.0 + 3 * number
                size = (height // 2, width // 2)
                depths.publish(depth_message(1500 + 500 * number, size, stamp + (0.004, 0.2, 0.0, 0.0)[number]))
                for at in (stamp - 0.1, stamp, stamp + 0.1):
                    robot.publish_odometry(at, Pose(3.0 * number, 0.0))
                robot.publish_image(image, stamp)
                added = str(number + 1)
                wait_for(
                    lambda added=added: robot.diagnostics().get("places added") == added, TIMEOUT, f"{added} places"
                )
            said = robot.diagnostics()
        finally:
            robot.close()
        with PlaceMap.open(MAP) as place_map:
            middle = np.array([[40.0, 40.0], [100.0, 90.0]])
            found = [depth_at(place_map.thumbnail_jpeg(place), middle) for place in place_map.places()]
        assert found[1] is None and "0.2" in said["last bad input"] and said["bad input: depth"] == "1", said
        for number in (0, 2, 3):
            assert np.allclose(found[number], 1.5 + 0.5 * number, rtol=0.02)


@launch_testing.post_shutdown_test()
class TestAfterShutdown(unittest.TestCase):
    def test_it_ended_well(self, proc_info, proc_output):
        assert_ended_well(proc_info, proc_output)
