"""Two robots without a server: each place of one is recognized in the map of the other, once, also those of a time when either was down."""

import shutil
import signal
import time
from contextlib import closing

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not sourced")
pytest.importorskip("vpr_aesvc_msgs", reason="the ROS workspace is not built and sourced")

from rclpy.qos import DurabilityPolicy, QoSProfile
from vpr_aesvc_msgs.msg import Descriptor, LoopClosure
from vpr_aesvc_msgs.srv import LoadMap

from tests.recordings.corridor import LAP
from tests.ros import world
from tests.ros.patience import TIMEOUT, wait_for
from tests.ros.processes import vpr_node
from tests.ros.robot import Robot, wait_for_subscription
from vpr_aesvc import read_image

KEPT = QoSProfile(depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def start(robot, path, mode, **parameters):
    return vpr_node(
        f"__ns:=/{robot}",
        f"image:=/{robot}/camera/image_raw",
        model=world.model(),
        map=path,
        mode=mode,
        autostart="true",
        diagnostics_period=0.2,
        camera_mount="[0.3, 0.0, 0.5, 0.0, 0.0, 0.0]",
        traverse="drive",
        **parameters,
    )


def test_each_place_of_the_other_robot_is_recognized_once(tmp_path):
    mine, theirs = tmp_path / "r1.vprmap", tmp_path / "r2.vprmap"
    shutil.copy(world.lap_map(), mine)
    later = [frame for frame in world.corridor() if frame.lap > 1]
    thirds = np.array_split(np.arange(len(later)), 3)
    with closing(Robot("at_r1", prefix="/r1")) as first, closing(Robot("at_r2", prefix="/r2")) as second:
        closures = first.subscribe(LoopClosure, "/r1/vpr_node/inter_robot_loop_closures", KEPT)
        seen = second.messages["/r2/vpr_node/descriptor"]

        def r1():
            return start("r1", mine, "localization", peers="[r2]")

        def r2():
            return start("r2", theirs, "slam", publish_descriptors="true", fleet_robot="beta")

        def drive(rows):
            wait_for_subscription(second.images)
            wait_for_subscription(second.odometry)
            for frame in (later[row] for row in rows):
                before = len(seen)
                second.publish_odometry(frame.stamp, frame.pose)
                second.publish_image(read_image(frame.path), frame.stamp)
                wait_for(lambda before=before: len(seen) > before, TIMEOUT, f"the place of frame {frame.number}")

        def looked_at(count):
            said = f"looked at its places up to {count}, all there are"
            wait_for(lambda: said in first.diagnostics().get("robot r2", ""), 4 * TIMEOUT, f"r1 to say {said}")

        with r2() as other:
            with r1() as one:
                drive(thirds[0])
                looked_at(len(thirds[0]))
                one.send(signal.SIGKILL)
            drive(thirds[1])  # r1 is away
            with r1():
                looked_at(len(thirds[0]) + len(thirds[1]))
                other.send(signal.SIGKILL)
                other.wait()
                wait_for(lambda: first.diagnostics().get("robot r2") == "not in reach", 4 * TIMEOUT, "r2 to be away")
                with r2():
                    drive(thirds[2])
                    looked_at(len(later))
                    time.sleep(1.0)
                    before = len(closures)
                    another = shutil.copy(world.lap_map(), tmp_path / "another.vprmap")  # which knows nothing of r2
                    loaded = first.call(LoadMap, "/r1/vpr_node/load_map", LoadMap.Request(path=str(another)))
                    assert loaded.success, loaded.message
                    wait_for(lambda: len(closures) - before >= 0.5 * len(later), 4 * TIMEOUT, "closures of the new map")
                    looked_at(len(later))
                    again, closures = closures[before:], closures[:before]
    assert len({one.to_place for one in again}) == len(again)
    message = seen[0]
    assert isinstance(message, Descriptor) and message.robot == "beta" and message.place_id == 1
    found = [one.to_place for one in closures]
    assert len(set(found)) == len(found) >= 0.5 * len(later)
    assert all(np.isin(rows + 1, found).any() for rows in thirds)
    lap = [frame for frame in world.corridor() if frame.lap == 1]
    for one in closures:
        apart = (later[one.to_place - 1].number - lap[one.from_place - 1].number) % LAP
        assert min(apart, LAP - apart) <= 3, "a wrong loop closure"
        assert (one.from_robot, one.to_robot) == ("r1", "beta") and one.body_frame == "base_link"
        assert one.header.stamp.sec == int(later[one.to_place - 1].stamp) and 0.5 < one.probability <= 1
        assert np.linalg.eigvalsh(np.array(one.relative_pose.covariance).reshape(6, 6)).min() > -1e-9
