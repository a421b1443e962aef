"""What the worker thread does with each image: process, publish, report."""

from __future__ import annotations

import time
import traceback
from copy import copy
from functools import partial

from vpr_aesvc.errors import VprError
from vpr_aesvc.onboard.engine import IncomingFrame, Outcome
from vpr_aesvc.recordings.image_messages import rgb_of
from vpr_aesvc.ros.cameras import ReceivedImage
from vpr_aesvc.ros.convert import time_message
from vpr_aesvc.ros.session import Session
from vpr_aesvc.types import Frame, Pose


def incoming_frame(session: Session, image: ReceivedImage) -> IncomingFrame:
    """The input of the engine for an image. Its label is CAMERA/SECONDS.NANOSECONDS, or without CAMERA/ if there is one camera."""
    motion, cameras = session.motion, session.cameras
    frame_id = image.message.header.frame_id
    seconds, nanoseconds = divmod(round(image.stamp * 1e9), 10**9)
    label = f"{image.camera}{'/' if image.camera else ''}{seconds}.{nanoseconds:09d}"
    return IncomingFrame(
        image.camera,
        Frame(label, stamp=image.stamp),
        decode=partial(rgb_of, image.message, label),
        pose=(lambda: None) if motion is None else partial(motion.camera_pose, image.camera, frame_id, image.stamp),
        intrinsics=None if cameras is None else cameras.intrinsics.get(image.camera),
    )


def process_frame(session: Session, camera: str, image: ReceivedImage) -> None:
    """Never raises: an error in one frame must not end the worker thread."""
    started = time.monotonic()
    engine, motion, health, log = session.engine, session.motion, session.health, session.node.get_logger()
    try:
        if _waits_for_mount(session, image):
            return
        outcome = engine.process(incoming_frame(session, image))
        header = copy(image.message.header)
        if not (header.stamp.sec or header.stamp.nanosec):
            header.stamp = time_message(image.stamp)
        mount = _mount(session, outcome, header.frame_id)
        session.publishers.publish(outcome, header, mount, engine.map, engine.describer)
        session.localization.publish(outcome, header, mount, motion)
    except VprError as error:
        health.failed(str(error))
        log.error(f"frame skipped: {error}", throttle_duration_sec=5.0)
        return
    except Exception:
        health.failed(traceback.format_exc(limit=1).strip().splitlines()[-1])
        log.error(f"internal error: {traceback.format_exc()}", throttle_duration_sec=5.0)
        return
    if outcome.place_error is not None:
        log.error(f"place not stored: {outcome.place_error}", throttle_duration_sec=5.0)
    if outcome.bad_image:
        log.warning(f"image skipped: {outcome.skip_reason}", throttle_duration_sec=10.0)
    elif outcome.skip_reason is None:
        now = time.monotonic()
        outcome.milliseconds["waited for its turn"] = 1000 * (started - image.received)
        outcome.milliseconds["total"] = 1000 * (now - image.received)
    if outcome.recognition is not None and outcome.recognition.message:
        log.warning(outcome.recognition.message)
    health.finished(outcome)


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
