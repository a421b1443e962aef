"""A picture's way through the engine, in the worker's thread, and what is said of it."""

from __future__ import annotations

import time
import traceback
from copy import copy
from functools import partial
from typing import TYPE_CHECKING

from vpr_aesvc.errors import VprError
from vpr_aesvc.onboard.engine import Arrival
from vpr_aesvc.recordings.image_messages import rgb_of
from vpr_aesvc.ros.convert import time_message
from vpr_aesvc.transforms import IDENTITY
from vpr_aesvc.types import Frame

if TYPE_CHECKING:
    from vpr_aesvc.ros.cameras import Cameras, Picture
    from vpr_aesvc.ros.motion import Motion
    from vpr_aesvc.ros.node import VprNode


def arrival(picture: Picture, motion: Motion | None, cameras: Cameras | None) -> Arrival:
    """A picture as the engine takes it."""
    frame_id = picture.message.header.frame_id
    whole = round(picture.stamp * 1e9)
    label = f"{picture.camera}{'/' if picture.camera else ''}{whole // 10**9}.{whole % 10**9:09d}"
    return Arrival(
        picture.camera,
        Frame(label, stamp=picture.stamp),
        partial(rgb_of, picture.message, label),
        (lambda: None) if motion is None else partial(motion.camera_pose, frame_id, picture.stamp),
        None if cameras is None else cameras.intrinsics.get(picture.camera),
    )


def process_frame(node: VprNode, camera: str, picture: Picture) -> None:
    """Nothing that one frame does may end the thread."""
    engine, outputs, motion, cameras = node.engine, node.outputs, node.motion, node.cameras
    if engine is None or outputs is None:
        return
    started = time.monotonic()
    health, log = node.health, node.get_logger()
    try:
        outcome = engine.process(arrival(picture, motion, cameras))
        header = copy(picture.message.header)
        if not (header.stamp.sec or header.stamp.nanosec):
            header.stamp = time_message(picture.stamp)
        mount = IDENTITY if motion is None else motion.mount(header.frame_id)
        outputs.publish(outcome, header, mount, engine.map, engine.describer)
    except VprError as error:
        health.failed(str(error))
        log.error(f"a frame is left out: {error}", throttle_duration_sec=5.0)
        return
    except Exception:
        health.failed(traceback.format_exc(limit=1).strip().splitlines()[-1])
        log.error(f"a fault of this program: {traceback.format_exc()}", throttle_duration_sec=5.0)
        return
    if outcome.failed is not None:
        log.error(f"no place is made: {outcome.failed}", throttle_duration_sec=5.0)
    if outcome.bad:
        log.warning(f"a picture is left out: {outcome.skipped}", throttle_duration_sec=10.0)
    elif outcome.skipped is None:
        now = time.monotonic()
        outcome.milliseconds["waited for its turn"] = 1000 * (started - picture.received)
        outcome.milliseconds["total"] = 1000 * (now - picture.received)
    if outcome.recognition is not None and outcome.recognition.message:
        log.warning(outcome.recognition.message)
    health.finished(outcome)
