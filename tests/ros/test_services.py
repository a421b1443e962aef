"""Each service, with valid and invalid requests."""

import unittest
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("launch_testing", reason="ROS 2 is not sourced")
pytest.importorskip("vpr_aesvc_msgs", reason="the ROS workspace is not built and sourced")

import launch_testing
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import Trigger
from vpr_aesvc_msgs.srv import AddPlace, GetMapInfo, LoadMap, QueryPlace, SaveMap

from tests.ros import world
from tests.ros.launching import assert_ended_well, description
from tests.ros.robot import Robot, compressed_message, image_message
from vpr_aesvc import PlaceMap, read_image
from vpr_aesvc.ros.convert import pose_message
from vpr_aesvc.types import Pose

MAP = world.folder() / "services.vprmap"


@pytest.mark.launch_test
def generate_test_description():
    MAP.write_bytes(world.lap_map().read_bytes())
    return description(map=str(MAP), mode="slam")


class TestServices(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.robot = Robot()
        assert cls.robot.change_state("configure")

    @classmethod
    def tearDownClass(cls):
        cls.robot.close()

    def call(self, kind, name, **fields):
        return self.robot.call(kind, f"/vpr_node/{name}", kind.Request(**fields))

    def test_1_query_place(self):
        frame = world.corridor()[20]
        image = read_image(frame.path)
        answers = [
            self.call(QueryPlace, "query_place", image=image_message(image, frame.stamp), top=3),
            self.call(QueryPlace, "query_place", compressed=compressed_message(image, frame.stamp), top=3),
        ]
        for answer in answers:
            assert answer.success, answer.message
            best = answer.matches.candidates[0]
            assert len(answer.matches.candidates) == 3 and best.stamp.sec == int(frame.stamp)
            assert best.similarity > 0.99 and best.has_pose and answer.matches.header.stamp.sec == int(frame.stamp)
        whole = image_message(image, 1.0)
        bad = {
            "neither": {},
            "both": {"image": whole, "compressed": compressed_message(image, 1.0)},
            "encoding": {"image": Image(height=2, width=2, step=2, encoding="tartan", data=[0] * 4)},
            "image": {"compressed": CompressedImage(format="jpeg", data=[1, 2, 3])},
            "candidates": {"image": whole, "top": 4000},
        }
        for reason, fields in bad.items():
            answer = self.call(QueryPlace, "query_place", **fields)
            assert not answer.success and reason in answer.message, (reason, answer.message)

    def test_2_get_map_info(self):
        info = self.call(GetMapInfo, "get_map_info")
        assert info.success and info.places == info.with_pose == 39 and info.traverses == ["lap 1"]
        assert Path(info.path) == MAP and info.dim > 0 and info.size_bytes > 40 * 2 * info.dim and info.model_family

    def test_3_add_place(self):
        frame = world.corridor()[60]
        image = image_message(read_image(frame.path), frame.stamp)
        answer = self.call(
            AddPlace,
            "add_place",
            image=image,
            label="the door",
            traverse="by hand",
            has_pose=True,
            pose=pose_message(Pose.planar(3, 4, 1)),
        )
        assert answer.success and answer.place_id == 40, answer.message
        with PlaceMap.open(MAP) as place_map:
            place = place_map.places([40])[40]
            assert (place.label, place.traverse, place.stamp) == ("the door", "by hand", frame.stamp)
            assert (place.pose.x, place.pose.y) == (3, 4) and place_map.thumbnail(40) is not None
        nowhere = pose_message(Pose.planar(0, 0))
        nowhere.position.x = float("nan")
        for reason, fields in (
            ("no camera image", {}),
            ("finite", {"image": image, "has_pose": True, "pose": nowhere}),
            (
                "quaternion",
                {"image": image, "has_pose": True, "pose": type(nowhere)(orientation=type(nowhere.orientation)(w=0.0))},
            ),
        ):
            answer = self.call(AddPlace, "add_place", **fields)
            assert not answer.success and answer.place_id == -1 and reason in answer.message, answer.message
        assert self.call(GetMapInfo, "get_map_info").places == 40

    def test_4_save_map_and_load_map(self):
        copy = world.folder() / "copy.vprmap"
        assert self.call(SaveMap, "save_map", path=str(copy)).success
        again = self.call(SaveMap, "save_map", path=str(copy))
        assert not again.success and "exists" in again.message
        for path in ("", "/nowhere/copy.vprmap"):
            assert not self.call(SaveMap, "save_map", path=path).success
        for path in ("", "/nowhere/other.vprmap", str(world.model() / "model.json")):
            answer = self.call(LoadMap, "load_map", path=path)
            assert not answer.success and answer.message
            assert self.call(GetMapInfo, "get_map_info").path == str(MAP)
        loaded = self.call(LoadMap, "load_map", path=str(copy))
        assert loaded.success and loaded.places == 40
        assert self.call(GetMapInfo, "get_map_info").path == str(copy)
        frame = world.corridor()[60]
        result = self.call(QueryPlace, "query_place", image=image_message(read_image(frame.path), frame.stamp))
        assert result.success and result.matches.candidates[0].label == "the door"

    def test_5_reset(self):
        assert self.call(Trigger, "reset").success

    def test_6_after_cleanup_the_map_is_complete(self):
        assert self.robot.change_state("cleanup")
        with PlaceMap.open(MAP) as place_map:
            assert len(place_map) == 40 and np.isfinite(place_map.descriptors()[1]).all()


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    def test_exit_code_is_0_without_a_traceback(self, proc_info, proc_output):
        assert_ended_well(proc_info, proc_output)
