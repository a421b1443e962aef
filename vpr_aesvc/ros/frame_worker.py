"""What the worker thread does with each image: process, publish, report."""

import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from functools import partial

from std_msgs.msg import Header

from vpr_aesvc.errors import VprError
from vpr_aesvc.onboard.body_pose import base_pose
from vpr_aesvc.onboard.engine import IncomingFrame, Outcome
from vpr_aesvc.onboard.relocalization import Sighting
from vpr_aesvc.onboard.rig import RigView, decide_rig
from vpr_aesvc.ros.cameras import ReceivedImage
from vpr_aesvc.ros.convert import time_message
from vpr_aesvc.ros.session import Session
from vpr_aesvc.types import Frame, Pose


def incoming_frame(session: Session, image: ReceivedImage) -> IncomingFrame:
    """The input of the engine for an image."""
    motion, cameras = session.motion, session.cameras
    frame_id = image.message.header.frame_id
    return IncomingFrame(
        image.camera,
        Frame(
            image.label,
            stamp=image.stamp,
            depth=None if cameras is None else partial(cameras.depth_at, image.camera, image.stamp),
        ),
        decode=image.decoded,
        pose=(lambda: None) if motion is None else partial(motion.camera_pose, image.camera, frame_id, image.stamp),
        calibration=None if cameras is None else cameras.intrinsics.get(image.camera),
    )


@dataclass(frozen=True)
class Answer:
    """An outcome with the header of its image and the mount of its camera, None if that is not known."""

    outcome: Outcome
    header: Header
    mount: Pose | None


@contextmanager
def errors_reported(session: Session) -> Iterator[None]:
    """Nothing is raised: an error in one frame must not end the worker thread."""
    try:
        yield
    except VprError as error:
        session.health.failed(str(error))
        session.node.get_logger().error(f"frame skipped: {error}", throttle_duration_sec=5.0)
    except Exception:
        session.health.failed(traceback.format_exc(limit=1).strip().splitlines()[-1])
        session.node.get_logger().error(f"internal error: {traceback.format_exc()}", throttle_duration_sec=5.0)


def process_frame(session: Session, camera: str, image: ReceivedImage) -> Answer | None:
    """Never raises. In a rig, poses and loop closures wait for the joint decision."""
    started = time.monotonic()
    engine, motion, health, log = session.engine, session.motion, session.health, session.node.get_logger()
    with errors_reported(session):
        if _waits_for_mount(session, image):
            return None
        outcome = engine.process(incoming_frame(session, image))
        header = copy(image.message.header)
        if not (header.stamp.sec or header.stamp.nanosec):
            header.stamp = time_message(image.stamp)
        mount = _mount(session, outcome, header.frame_id)
        rig = session.settings.rig
        shown = replace(outcome, loop_closure=None) if rig else outcome
        session.publishers.publish(shown, header, _closure_mounts(session, shown, mount), engine.map, engine.describer)
        if not rig:
            session.localization.publish(outcome, header, mount, motion)
            session.ask_fleet(outcome)
        if outcome.place_error is not None:
            log.error(f"place not stored: {outcome.place_error}", throttle_duration_sec=5.0)
        if outcome.calibration_error is not None:
            session.health.bad_input("camera_info", outcome.calibration_error)
        if outcome.bad_image:
            log.warning(f"image skipped: {outcome.skip_reason}", throttle_duration_sec=10.0)
        elif outcome.skip_reason is None:
            now = time.monotonic()
            outcome.milliseconds["waited for its turn"] = 1000 * (started - image.received)
            outcome.milliseconds["total"] = 1000 * (now - image.received)
        if outcome.recognition is not None and outcome.recognition.message:
            log.warning(outcome.recognition.message)
        health.finished(outcome)
        return Answer(outcome, header, mount)
    return None


def process_rig_frame(session: Session, name: str, images: list[ReceivedImage]) -> None:
    """Each camera's image, then the joint decision, published with ``name`` as its camera and the header of the image whose match it is. Never
    raises."""
    found = (process_frame(session, image.camera, image) for image in images)
    answers = {answer.outcome.camera: answer for answer in found if answer is not None}
    with errors_reported(session):
        views = {camera: view for camera, answer in answers.items() if (view := _rig_view(answer)) is not None}
        if not views:
            return
        camera, recognition = decide_rig(views, session.settings.recognition.false_positive_rate)
        best, engine = answers[camera], session.engine
        closure = best.outcome.loop_closure if recognition.accepted else None
        joint = Outcome(name, best.outcome.frame, recognition=recognition, loop_closure=closure)
        mounts = _closure_mounts(session, best.outcome, best.mount)
        session.publishers.publish(joint, best.header, mounts, engine.map, engine.describer)
        session.localization.publish(joint, best.header, best.mount, session.motion)
        session.ask_fleet(replace(joint, descriptor=best.outcome.descriptor))
        session.health.rig_finished(recognition)


def _rig_view(answer: Answer) -> RigView | None:
    recognition = answer.outcome.recognition
    if recognition is None:
        return None
    if recognition.pose is None or recognition.covariance is None or answer.mount is None:
        return RigView(recognition)
    return RigView(recognition, Sighting(*base_pose(recognition.pose, recognition.covariance, answer.mount)))


def _waits_for_mount(session: Session, image: ReceivedImage) -> bool:
    """Whether the camera's transform may still be on its way: a place stored now would have no pose."""
    motion, settings = session.motion, session.settings
    if motion is None or settings.mode == "localization" or settings.pose_source == "none":
        return False
    return motion.is_starting and motion.mount(image.camera, image.message.header.frame_id) is None


def _mount(session: Session, outcome: Outcome, frame_id: str) -> Pose | None:
    """Pose of the camera in ``base_frame``; None if it is not known, or if nothing needs it."""
    recognition = outcome.recognition
    if session.motion is None or recognition is None or (recognition.pose is None and outcome.loop_closure is None):
        return None
    return session.motion.mount(outcome.camera, frame_id)


def _closure_mounts(session: Session, outcome: Outcome, mount: Pose | None) -> tuple[Pose, Pose] | None:
    """Mounts of the cameras of the older and the newer place; None without a loop closure, or if one is unknown. ``mount`` is that of the newer."""
    closure, motion = outcome.loop_closure, session.motion
    if closure is None or mount is None or motion is None:
        return None
    if closure.from_camera in ("", outcome.camera):
        return mount, mount
    older = motion.mount_of(closure.from_camera)
    if older is None:
        what = f"loop closure skipped: the mount of camera {closure.from_camera!r}, which mapped the older place, is not known"
        session.node.get_logger().warning(what, throttle_duration_sec=10.0)
        return None
    return older, mount
