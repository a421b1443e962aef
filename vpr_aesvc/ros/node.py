"""The lifecycle node: configure loads, activate subscribes, deactivate stops, cleanup frees."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.onboard.engine import Arrival, Engine
from vpr_aesvc.onboard.newest import NewestFirst
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.recordings.image_messages import rgb_of
from vpr_aesvc.ros import parameters
from vpr_aesvc.ros.cameras import Cameras, Picture
from vpr_aesvc.ros.convert import time_message
from vpr_aesvc.ros.diagnostics import Health
from vpr_aesvc.ros.leaves import all_settings
from vpr_aesvc.ros.motion import Motion
from vpr_aesvc.ros.outputs import Outputs
from vpr_aesvc.ros.services import Services
from vpr_aesvc.ros.settings import LIVE, NodeSettings
from vpr_aesvc.transforms import HERE
from vpr_aesvc.types import Frame

_JUMP = 1.0  # seconds that the clock must go back for what is known of the robot to be forgotten


class VprNode(LifecycleNode):
    """See the README for topics, services and parameters.

    Three threads: the executor's two take messages and services in, the third decodes, describes and recognises (:class:`NewestFirst`); the
    map is touched by that one alone once the node is configured.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("vpr_node", **options)
        self.settings = NodeSettings()
        self.health = Health()
        self.engine: Engine | None = None
        self.worker: NewestFirst[Picture] | None = None
        self.newest: Picture | None = None
        self.busy = threading.RLock()  # a transition and a service do not run beside each other
        self._cameras: Cameras | None = None
        self._motion: Motion | None = None
        self._outputs: Outputs | None = None
        self._offered: Services | None = None
        self._trouble = ""
        self._state = "unconfigured"
        self._sensors = MutuallyExclusiveCallbackGroup()
        parameters.declare(self)
        for name in parameters.unknown(self):
            self.get_logger().error(
                f"there is no parameter {name!r}: it changes nothing; `ros2 param list` has the names"
            )
        self.add_on_set_parameters_callback(self._parameters_asked)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        period = float(self.get_parameter("diagnostics_period").value or 1.0)
        self._timer = self.create_timer(period, self._report)
        threshold = JumpThreshold(min_forward=None, min_backward=Duration(seconds=-_JUMP), on_clock_change=False)
        self._jumps = self.get_clock().create_jump_callback(threshold, post_callback=self._clock_jumped)

    # Transitions

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        with self.busy:
            return self._transition("unconfigured", "inactive", self._configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        with self.busy:
            done = self._transition("inactive", "active", self._activate)
            return super().on_activate(state) if done == TransitionCallbackReturn.SUCCESS else done

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        with self.busy:
            done = self._transition("active", "inactive", self._deactivate)
            return super().on_deactivate(state) if done == TransitionCallbackReturn.SUCCESS else done

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        with self.busy:
            return self._transition("inactive", "unconfigured", self._cleanup)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        with self.busy:
            return self._transition(self._state, "finalized", self.release)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        with self.busy:
            return self._transition(self._state, "unconfigured", self.release)

    def release(self) -> None:
        """Stops and frees everything, from whatever state; the map is whole."""
        self._deactivate()
        self._cleanup()

    def _transition(self, before: str, after: str, work: Callable[[], None]) -> TransitionCallbackReturn:
        """A user's mistake is a failure, with the reason in the log and the diagnostics; the node can then be configured again."""
        try:
            work()
        except VprError as error:
            self._trouble = str(error)
            self.get_logger().error(str(error))
            self._state = before
            return TransitionCallbackReturn.FAILURE
        except Exception:
            self._trouble = traceback.format_exc(limit=1).strip().splitlines()[-1]
            self.get_logger().fatal(f"a fault of this program: {traceback.format_exc()}")
            return TransitionCallbackReturn.ERROR
        self._trouble, self._state = "", after
        return TransitionCallbackReturn.SUCCESS

    def _configure(self) -> None:
        settings = self.settings = parameters.read(self)
        self.health = Health()
        describer = self._open_model(settings)
        place_map = self._open_map(settings, describer)
        try:
            self.engine = self.make_engine(place_map, describer)
        except BaseException:
            place_map.close()
            raise
        self.worker = NewestFirst(self._work)
        self._outputs = Outputs(self, settings)
        self._offered = Services(self)
        self.get_logger().info(
            f"{settings.mode}: {len(place_map)} places in {place_map.path}, model {describer.path} ({describer.precision}, {describer.provider})"
        )

    def make_engine(self, place_map: PlaceMap, describer: Describer) -> Engine:
        """Raises VprError where the settings do not fit the map."""
        settings = self.settings
        return Engine(place_map, describer, settings.mode, settings.recognition, settings.keyframes, settings.traverse)

    def _open_model(self, settings: NodeSettings) -> Describer:
        if not settings.model:
            raise VprError(
                "no model: set parameter model to a folder made by `vpr train MY_BAG -o model` (on a laptop) or `vpr export`"
            )
        describer = Describer.open(
            Path(settings.model).expanduser(), provider=settings.provider, threads=settings.threads or None
        )
        describer.warm_up()
        return describer

    def _open_map(self, settings: NodeSettings, describer: Describer) -> PlaceMap:
        if not settings.map:
            raise VprError(
                "no map: set parameter map to a .vprmap file; `vpr map build MY_BAG -m MODEL -o my.vprmap` makes one, and so does mode mapping"
            )
        path = Path(settings.map).expanduser()
        if settings.mode != "localization" and not path.exists():
            return PlaceMap.create(path, describer)
        if not path.exists():
            raise VprError(
                f"{path}: no such map; make it with `vpr map build MY_BAG -m {settings.model} -o {path}` or with mode mapping"
            )
        return PlaceMap.open(path, describer)

    def _activate(self) -> None:
        self._motion = Motion(self, self.settings, self.health, self._sensors)
        self._cameras = Cameras(self, self.settings, self.health, self._sensors, self._heard, time.monotonic)

    def _deactivate(self) -> None:
        if self._cameras is not None:
            self._cameras.close()
            self._cameras = None
        if self.worker is not None:
            self.worker.forget()
            self.worker.submit(lambda: None).result()  # when it is done with the frame it is at
        if self._motion is not None:
            self._motion.close()
            self._motion = None

    def _cleanup(self) -> None:
        if self._offered is not None:
            self._offered.close()
            self._offered = None
        if self.worker is not None:
            self.worker.stop()
            self.worker = None
        if self._outputs is not None:
            self._outputs.close()
            self._outputs = None
        if self.engine is not None:
            self.engine.map.close()
            self.engine = None
        self.newest = None

    # Frames

    def _heard(self, picture: Picture) -> None:
        self.newest = picture
        worker = self.worker
        if worker is not None:
            worker.offer(picture.camera, picture)

    def arrival(self, picture: Picture) -> Arrival:
        """A picture as the engine takes it."""
        frame_id = picture.message.header.frame_id
        whole = round(picture.stamp * 1e9)
        label = f"{picture.camera}{'/' if picture.camera else ''}{whole // 10**9}.{whole % 10**9:09d}"
        motion, cameras = self._motion, self._cameras
        return Arrival(
            picture.camera,
            Frame(label, stamp=picture.stamp),
            partial(rgb_of, picture.message, label),
            (lambda: None) if motion is None else partial(motion.camera_pose, frame_id, picture.stamp),
            None if cameras is None else cameras.intrinsics.get(picture.camera),
        )

    def _work(self, camera: str, picture: Picture) -> None:
        """In the worker's thread. Nothing that one frame does may end it."""
        engine, outputs, motion = self.engine, self._outputs, self._motion
        if engine is None or outputs is None:
            return
        started = time.monotonic()
        try:
            outcome = engine.process(self.arrival(picture))
            header = copy(picture.message.header)
            if not (header.stamp.sec or header.stamp.nanosec):
                header.stamp = time_message(picture.stamp)
            mount = HERE if motion is None else motion.mount(header.frame_id)
            outputs.publish(outcome, header, mount, engine.map, engine.describer)
        except VprError as error:
            self.health.refuse("frame", str(error))
            self.get_logger().error(f"a frame is left out: {error}", throttle_duration_sec=5.0)
            return
        except Exception:
            self.health.refuse("frame", traceback.format_exc(limit=1).strip().splitlines()[-1])
            self.get_logger().error(f"a fault of this program: {traceback.format_exc()}", throttle_duration_sec=5.0)
            return
        if outcome.bad:
            self.health.refuse("picture", outcome.skipped or "")
            self.get_logger().warning(f"a picture is left out: {outcome.skipped}", throttle_duration_sec=10.0)
        elif outcome.skipped is None:
            now = time.monotonic()
            outcome.milliseconds["waited for its turn"] = 1000 * (started - picture.received)
            outcome.milliseconds["total"] = 1000 * (now - picture.received)
        if outcome.recognition is not None and outcome.recognition.message:
            self.get_logger().warning(outcome.recognition.message)
        self.health.finished(outcome)

    # Parameters, clock, diagnostics

    def _parameters_asked(self, changed: list[Parameter]) -> SetParametersResult:
        mine = {setting.name: setting for setting in all_settings()}
        asked = [parameter for parameter in changed if parameter.name in mine]
        if not asked:
            return SetParametersResult(successful=True)
        with self.busy:
            fixed = [parameter.name for parameter in asked if not mine[parameter.name].live]
            if fixed and self.engine is not None:
                return parameters.refused(f"{', '.join(fixed)}: only before the node is configured; clean it up first")
            try:
                settings = parameters.read(self, asked)
                if self.engine is not None and self.worker is not None:
                    self.worker.submit(partial(self._apply, self.engine, settings)).result()
            except VprError as error:
                return parameters.refused(str(error))
            self.settings = settings
        return SetParametersResult(successful=True)

    def _apply(self, engine: Engine, settings: NodeSettings) -> None:
        assert LIVE == ("recognition", "keyframes")
        if settings.recognition != self.settings.recognition:
            engine.set_recognition(settings.recognition)
        if settings.keyframes != self.settings.keyframes:
            engine.set_keyframes(settings.keyframes)

    def _clock_jumped(self, jump: TimeJump) -> None:
        self.get_logger().warning("the clock jumped back: the robot's motion and sequence begin anew")
        if self._motion is not None:
            self._motion.forget()
        if self.worker is not None and self.engine is not None:
            self.worker.forget()
            self.worker.submit(partial(self.engine.reset, "the clock jumped back, so the sequence begins anew"))

    def _report(self) -> None:
        engine, worker, outputs = self.engine, self.worker, self._outputs
        places = None
        if engine is not None and worker is not None:
            try:
                places = len(engine.map)
            except VprError as error:
                self._trouble = str(error)
            if outputs is not None and self._state == "active":
                worker.submit(partial(outputs.draw_places, engine.map))
        stamp = self.get_clock().now().to_msg()
        dropped = {} if worker is None else dict(worker.dropped)
        self._diagnostics.publish(
            self.health.message(self.get_name(), self._state, self._trouble, places, dropped, stamp)
        )
