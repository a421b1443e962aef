"""A client of the action ~/relocalize, and the camera of the robot that is looked for."""

import contextlib
import threading
from itertools import count

import numpy as np
from geometry_msgs.msg import PoseWithCovarianceStamped, Twist
from rclpy.action import ActionClient
from sensor_msgs.msg import CameraInfo
from vpr_aesvc_msgs.action import Relocalize

from tests.ros.patience import wait_for
from tests.ros.robot import Robot, wait_for_subscription
from vpr_aesvc.transforms import OPTICAL, compose, pose_from_euler
from vpr_aesvc.types import Pose

ODOMETRY = pose_from_euler(-30, 12, 0, 0, 0, 1.0)
"""Pose of the map in the odometry frame."""


class Client(Robot):
    """The robot with a client of the action."""

    def __init__(self):
        super().__init__()
        self.publish_mount(OPTICAL)
        self.client = ActionClient(self.node, Relocalize, "/vpr_node/relocalize")
        self.feedback = []
        self.twists = self.subscribe(Twist, "/cmd_vel")
        self.initial = self.subscribe(PoseWithCovarianceStamped, "/initialpose")
        self.now = 1000.0  # stamp of the next frame

    def ready(self):
        wait_for(self.client.server_is_ready, what="the action's server")
        wait_for_subscription(self.images)
        wait_for_subscription(self.odometry)

    def send(self, **goal):
        """The handle of a goal; ``accepted`` of it says whether it runs."""
        self.feedback.clear()
        wait_for(self.client.server_is_ready, what="the action's server")
        future = self.client.send_goal_async(
            Relocalize.Goal(**goal), lambda message: self.feedback.append(message.feedback)
        )
        wait_for(future.done, what="the response to the goal")
        return future.result()

    def show(self, image, pose):
        """One frame. ``pose`` in the map; the odometry has a frame of its own."""
        self.now += 0.2
        if pose is not None:
            self.publish_odometry(self.now, compose(ODOMETRY, pose))
        self.publish_image(image, self.now)

    def drive(self, result, frames):
        """Shows frames until the result has come; each once the one before was looked at. Returns how many."""
        for number, (image, pose) in enumerate(frames, 1):
            before = len(self.matches)
            self.show(image, pose)
            wait_for(lambda before=before: len(self.matches) > before or result.done(), what="an answer")
            if result.done():
                return number
        return number


@contextlib.contextmanager
def images_at(robot, images, step=0.0, rate=10.0):
    """The camera of a robot that stands, or drives ``step`` meters a frame, sends images, round and round."""
    ending = threading.Event()

    def send():
        for number in count():
            if ending.wait(1 / rate):
                return
            robot.show(images[number % len(images)], Pose(step * number, 0.0))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def result_of(handle, timeout=30.0):
    future = handle.get_result_async()
    wait_for(future.done, timeout, "the result")
    return future.result().status, future.result().result


def camera_info(intrinsics, size):
    fx, fy, cx, cy = intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy
    message = CameraInfo(width=size[0], height=size[1], distortion_model="plumb_bob", d=[0.0] * 5)
    message.k = [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]
    return message


def noise(number=8):
    """Pictures of nothing."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (120, 160, 3), np.uint8) for _ in range(number)]
