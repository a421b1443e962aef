"""Several cameras as one: the joint decision, with exact answers, and the grouping of images by stamp."""

import numpy as np
import pytest

from vpr_aesvc.onboard.relocalization import Sighting
from vpr_aesvc.onboard.rig import RigView, decide_rig, simes
from vpr_aesvc.onboard.rig_frames import RigFrames
from vpr_aesvc.recognition.result import Recognition
from vpr_aesvc.types import Match, Place, Pose

RATE = 0.01
HERE, THERE = Pose(0, 0), Pose(20, 0)


def place(number, pose=None, traverse="drive", stamp=None):
    return Place(number, str(number), traverse, pose=pose, stamp=stamp)


def view(rate, base=HERE, number=1, **fields):
    """A camera's match at false-positive rate ``rate`` that puts the base at ``base``."""
    recognition = Recognition(
        rate <= RATE, "", best=Match(place(number, **fields), 0.9), false_positive_rate=rate, probability=0.8
    )
    return RigView(recognition, None if base is None else Sighting(base, np.eye(6) * 0.01))


def test_the_rule_of_simes():
    assert simes([0.004], 1) == 0.004
    assert simes([0.004], 4) == pytest.approx(0.016)  # as Bonferroni
    assert simes([0.004, 0.005], 2) == pytest.approx(0.005)
    assert simes([0.003, 0.003, 0.003, 0.003], 4) == pytest.approx(0.003)
    assert simes([1.0, 1.0], 2) == 1.0


def test_agreeing_cameras_support_each_other():
    camera, joint = decide_rig({"front": view(0.008), "rear": view(0.006, number=2)}, RATE)
    assert camera == "rear" and joint.best.place.id == 2 and joint.accepted
    assert joint.false_positive_rate == pytest.approx(0.008)
    assert joint.why == (
        "accepted: false-positive rate 0.008 is within the requested 0.01 (2 of 2 cameras agree: rear 0.006, front 0.008)"
    )


def test_a_camera_alone_pays_for_the_others():
    for rate, accepted in ((0.004, True), (0.006, False)):
        camera, joint = decide_rig({"front": view(rate), "rear": view(0.5, THERE)}, RATE)
        assert camera == "front" and joint.accepted == accepted
        assert joint.false_positive_rate == pytest.approx(2 * rate)


def test_cameras_that_are_sure_of_different_places_refuse():
    camera, joint = decide_rig({"front": view(0.001), "rear": view(0.009, THERE)}, RATE)
    assert camera == "front" and not joint.accepted
    assert "front, rear are sure of different places" in joint.why


def test_a_majority_against_one_sure_camera_refuses_too():
    views = {name: view(0.003) for name in ("a", "b", "c")} | {"d": view(0.01, THERE)}
    assert not decide_rig(views, RATE)[1].accepted
    views["d"] = view(0.02, THERE)
    assert decide_rig(views, RATE)[1].accepted


def test_the_heading_of_the_base_must_agree():
    turned = Pose.planar(0, 0, np.pi)
    assert not decide_rig({"front": view(0.008), "rear": view(0.008, turned)}, RATE)[1].accepted


def test_without_mounts_places_near_each_other_agree():
    def both(one, other):
        return decide_rig({"front": view(0.008, None, **one), "rear": view(0.008, None, **other)}, RATE)[1].accepted

    assert both({"pose": HERE}, {"pose": Pose(3, 0)}) and not both({"pose": HERE}, {"pose": THERE})
    assert both({"stamp": 10.0}, {"stamp": 12.0}) and not both({"stamp": 10.0}, {"stamp": 20.0})
    assert not both({"stamp": 10.0}, {"stamp": 10.0, "traverse": "another"})


def test_the_promise_holds_outside_the_map():
    """Rates that are uniform, as outside the map, and as dependent as can be of cameras that err together; agreement at its worst."""
    random = np.random.default_rng(0)
    for share in (0.0, 0.5, 1.0):
        count = 0
        for _ in range(4000):
            common = random.uniform()
            rates = [common if random.uniform() < share else random.uniform() for _ in range(3)]
            count += decide_rig({name: view(rate) for name, rate in zip("abc", rates, strict=True)}, 0.05)[1].accepted
        assert count / 4000 <= 0.062, share  # 0.05 and three and a half standard deviations


def test_a_match_without_a_place():
    camera, joint = decide_rig({"front": RigView(Recognition(False, "the map is empty")), "rear": view(0.5)}, RATE)
    assert camera == "rear" and not joint.accepted


def test_images_of_one_moment_are_one_frame():
    rig = RigFrames(["front", "left", "rear"])
    assert rig.add("rear", 1.00, "r1") is None and rig.add("front", 1.02, "f1") is None
    assert rig.add("front", 1.06, "f2") is None  # of the next moment
    assert rig.add("left", 1.03, "l1") == ["f1", "l1", "r1"]
    assert rig.add("left", 1.07, "l2") is None
    assert rig.add("rear", 1.08, "r2") == ["f2", "l2", "r2"] and rig.missing == []


def test_a_complete_frame_drops_older_images():
    rig = RigFrames(["front", "rear"])
    for at in range(3):
        assert rig.add("front", 1 + 0.1 * at, f"f{at}") is None
    assert rig.add("rear", 1.2, "r2") == ["f2", "r2"]
    assert rig.add("rear", 1.1, "late") is None


@pytest.mark.parametrize("after", [-0.01, 0, 0.01])
def test_the_rig_goes_on_without_a_camera_that_fails_and_takes_it_back(after):
    rig, frames = RigFrames(["front", "rear"]), []
    for at in range(20):
        if (images := rig.add("front", 1 + 0.1 * at, at)) is not None:
            frames.append(images)
    assert rig.missing == ["rear"] and frames[0] == [0] and frames[-1] == [19]  # the newest, without a wait
    assert rig.add("rear", 2.9 + after, "r19") is None and rig.missing == []
    assert rig.add("front", 3.0, 20) is None
    assert rig.add("rear", 3.0, "r20") == [20, "r20"]


def test_a_camera_that_is_never_of_the_same_moment_is_missing():
    rig, last = RigFrames(["front", "rear"]), None
    for at in range(20):
        last = rig.add("front", float(at), at)
        assert rig.add("rear", at + 0.5, at) is None or at < 5
    assert rig.missing == ["rear"] and last == [19]


def test_one_stamp_far_in_the_future_blocks_nothing():
    rig = RigFrames(["front", "rear"])
    assert rig.add("front", 1e6, "wrong") is None
    frames = [rig.add("front", 1 + 0.1 * at, at) for at in range(10)]  # the rear camera has failed
    assert frames[3] == [0] and frames[-1] == [9]


def test_a_bag_that_starts_again():
    rig = RigFrames(["front", "rear"])
    rig.add("front", 100.0, 0)
    assert rig.add("rear", 100.0, 0) == [0, 0]
    assert rig.add("front", 50.0, 1) is None
    assert rig.add("rear", 50.0, 1) == [1, 1]
