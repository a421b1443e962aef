"""The lifecycle node: configure loads, activate subscribes, deactivate stops, cleanup frees."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.onboard.engine import Engine
from vpr_aesvc.onboard.latest_frame_worker import LatestFrameWorker
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.ros import frame_worker, parameter_updates, parameters, transition_guard
from vpr_aesvc.ros.cameras import Cameras, Picture
from vpr_aesvc.ros.diagnostics import Health
from vpr_aesvc.ros.motion import Motion
from vpr_aesvc.ros.opening import open_map, open_model
from vpr_aesvc.ros.publishers import Outputs
from vpr_aesvc.ros.services import Services
from vpr_aesvc.ros.settings import NodeSettings

_JUMP = 1.0  # seconds that the clock must go back for what is known of the robot to be forgotten


class VprNode(LifecycleNode):
    """See the README for topics, services and parameters.

    Three threads: the executor's two take messages and services in, the third decodes, describes and recognizes (:class:`LatestFrameWorker`); the
    map is touched by that one alone once the node is configured.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("vpr_node", **options)
        self.settings = NodeSettings()
        self.health = Health()
        self.engine: Engine | None = None
        self.worker: LatestFrameWorker[Picture] | None = None
        self.newest: Picture | None = None
        self.busy = threading.RLock()  # a transition and a service do not run beside each other
        self.cameras: Cameras | None = None
        self.motion: Motion | None = None
        self.outputs: Outputs | None = None
        self._offered: Services | None = None
        self._trouble = ""
        self._state = "unconfigured"
        self._sensors = MutuallyExclusiveCallbackGroup()
        parameters.declare(self)
        for name in parameters.unknown(self):
            self.get_logger().error(
                f"there is no parameter {name!r}: it changes nothing; `ros2 param list` has the names"
            )
        self.add_on_set_parameters_callback(partial(parameter_updates.on_set_parameters, self))
        transition_guard.install(self)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        period = float(self.get_parameter("diagnostics_period").value or 1.0)
        # Not by the node's own clock: where nobody gives it the time, the diagnostics must still come.
        self._timer = self.create_timer(period, self._report, clock=Clock(clock_type=ClockType.STEADY_TIME))
        threshold = JumpThreshold(min_forward=None, min_backward=Duration(seconds=-_JUMP), on_clock_change=False)
        self._jumps = self.get_clock().create_jump_callback(threshold, post_callback=self._clock_jumped)

    # Transitions

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        with self.busy:
            return self._transition("unconfigured", "inactive", self._configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        with self.busy:
            super().on_activate(state)  # first, so that the first frame's answer is not lost
            done = self._transition("inactive", "active", self._activate)
            if done != TransitionCallbackReturn.SUCCESS:
                super().on_deactivate(state)
            return done

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
            trouble = self._trouble
            done = self._transition(self._state, "unconfigured", self.release)
            self._trouble = trouble  # the diagnostics go on saying why
            return done

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
        self._timer.timer_period_ns = round(1e9 * settings.diagnostics_period)
        self.health = Health(settings.pose_source)
        describer = open_model(settings)
        place_map = open_map(settings, describer)
        try:
            self.engine = self.make_engine(place_map, describer)
        except BaseException:
            place_map.close()
            raise
        self.worker = LatestFrameWorker(partial(frame_worker.process_frame, self))
        self.outputs = Outputs(self, settings)
        self._offered = Services(self)
        self.get_logger().info(
            f"{settings.mode}: {len(place_map)} places in {place_map.path}, model {describer.path} ({describer.precision}, {describer.provider})"
        )

    def make_engine(self, place_map: PlaceMap, describer: Describer) -> Engine:
        """Raises VprError where the settings do not fit the map."""
        settings = self.settings
        return Engine(place_map, describer, settings.mode, settings.recognition, settings.keyframes, settings.traverse)

    def _activate(self) -> None:
        self.health.began()
        try:
            self.motion = Motion(self, self.settings, self.health, self._sensors)
            self.cameras = Cameras(self, self.settings, self.health, self._sensors, self._heard, time.monotonic)
        except BaseException:
            self._deactivate()
            raise

    def _deactivate(self) -> None:
        if self.cameras is not None:
            self.cameras.close()
            self.cameras = None
        if self.worker is not None:
            self.worker.forget()
            self.worker.submit(lambda: None).result()  # when it is done with the frame it is at
        if self.motion is not None:
            self.motion.close()
            self.motion = None

    def _cleanup(self) -> None:
        if self._offered is not None:
            self._offered.close()
            self._offered = None
        if self.worker is not None:
            self.worker.stop()
            self.worker = None
        if self.outputs is not None:
            self.outputs.close()
            self.outputs = None
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

    # Clock, diagnostics

    def _clock_jumped(self, jump: TimeJump) -> None:
        self.get_logger().warning("the clock jumped back: the robot's motion and sequence begin anew")
        if self.motion is not None:
            self.motion.forget()
        if self.worker is not None and self.engine is not None:
            self.worker.forget()
            self.worker.submit(partial(self.engine.reset, "the clock jumped back, so the sequence begins anew"))

    def _report(self) -> None:
        engine, worker, outputs = self.engine, self.worker, self.outputs
        places, trouble = None, self._trouble
        if engine is not None and worker is not None:
            try:
                places = len(engine.map)
            except VprError as error:
                if engine is self.engine:  # else it was closed for another just now
                    trouble = str(error)
            if outputs is not None and self._state == "active":
                worker.submit(partial(outputs.draw_places, engine.map))
        stamp = self.get_clock().now().to_msg()
        dropped = {} if worker is None else dict(worker.dropped)
        name = self.get_fully_qualified_name().strip("/")  # two robots may share the topic
        self._diagnostics.publish(self.health.message(name, self._state, trouble, places, dropped, stamp))
