"""The lifecycle node: configure loads model and map, activate subscribes, deactivate unsubscribes, cleanup frees everything."""

import gc
import threading
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from vpr_aesvc.errors import VprError
from vpr_aesvc.ros import bond, parameter_updates, parameters, transition_guard
from vpr_aesvc.ros.diagnostics import Health
from vpr_aesvc.ros.frame_worker import process_frame, process_rig_frame
from vpr_aesvc.ros.map_watch import MapWatch
from vpr_aesvc.ros.peers import Peers
from vpr_aesvc.ros.relocalize import RelocalizeServer
from vpr_aesvc.ros.services import Services
from vpr_aesvc.ros.session import Session

_BACKWARD_JUMP = 1.0  # seconds; a larger jump back of the clock resets motion and sequence


class VprNode(LifecycleNode):
    """See docs/ros.md for topics, services and parameters.

    Threads: the executor's threads answer service calls; a goal of ~/relocalize takes one of them until it ends. Of the ``Session``, the sensor thread receives messages, and the worker thread
    decodes, describes and recognizes.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("vpr_node", **options)
        self._lock = threading.RLock()  # transitions, services and parameter changes do not overlap
        self._session: Session | None = None
        self._vpr_services: Services | None = None
        self._bond: bond.Bond | None = None
        self._map_watch: MapWatch | None = None
        self._peers: Peers | None = None
        self._health = Health(self)
        self._error = ""  # why the last transition failed
        self._state = "unconfigured"
        parameters.declare(self)
        for name in parameters.unknown(self):
            self.get_logger().error(f"parameter {name!r} does not exist: ignored; `ros2 param list` shows the names")
        self.add_on_set_parameters_callback(self._on_set_parameters)
        transition_guard.install(self)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        period = float(self.get_parameter("diagnostics_period").value or 1.0)
        clock = Clock(clock_type=ClockType.STEADY_TIME)  # diagnostics must also come while nobody publishes /clock
        self._relocalize = RelocalizeServer(self, lambda: self._session if self._state == "active" else None)
        self._timer = self.create_timer(period, self._publish_diagnostics, clock=clock)
        jump = Duration(seconds=-_BACKWARD_JUMP)
        threshold = JumpThreshold(min_forward=None, min_backward=jump, on_clock_change=False)
        self._jump_handle = self.get_clock().create_jump_callback(threshold, post_callback=self._on_clock_jump)

    # Transitions

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        with self._lock:
            return self._transition("unconfigured", "inactive", self._configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        with self._lock:
            super().on_activate(state)  # enables the publishers before the first frame comes
            result = self._transition("inactive", "active", self._activate)
            if result != TransitionCallbackReturn.SUCCESS:
                super().on_deactivate(state)
            return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        with self._lock:
            result = self._transition("active", "inactive", self._deactivate_and_learn)
            return super().on_deactivate(state) if result == TransitionCallbackReturn.SUCCESS else result

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        with self._lock:
            return self._transition("inactive", "unconfigured", self._cleanup)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        with self._lock:
            return self._transition(self._state, "finalized", self.release)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        with self._lock:
            error = self._error
            result = self._transition(self._state, "unconfigured", self.release)
            self._error = error  # still shown in the diagnostics
            return result

    def release(self) -> None:
        """Stops and frees everything, in any state. The map file is complete afterwards."""
        with self._lock:
            self._deactivate()
            self._cleanup()

    def _transition(self, before: str, after: str, work: Callable[[], None]) -> TransitionCallbackReturn:
        """A VprError is a FAILURE: the reason goes to log and diagnostics, and the user can try again. Any other exception is an ERROR."""
        try:
            work()
        except VprError as error:
            self._error = str(error)
            self.get_logger().error(str(error))
            self._state = before
            return TransitionCallbackReturn.FAILURE
        except Exception:
            self._error = traceback.format_exc(limit=1).strip().splitlines()[-1]
            self.get_logger().fatal(f"internal error: {traceback.format_exc()}")
            return TransitionCallbackReturn.ERROR
        self._error, self._state = "", after
        return TransitionCallbackReturn.SUCCESS

    def _configure(self) -> None:
        settings = parameters.read(self)
        self._timer.timer_period_ns = round(1e9 * settings.diagnostics_period)
        self._health = Health(self, settings.pose_source)
        process = process_rig_frame if settings.rig else process_frame
        self._session = Session(self, settings, self._health, process)
        self._vpr_services = Services(self._session, self._lock)
        self._map_watch = MapWatch(self._session)
        place_map, describer = self._session.engine.map, self._session.engine.describer
        self.get_logger().info(
            f"{settings.mode}: {len(place_map)} places in {place_map.path}, model {describer.path} ({describer.precision}, {describer.provider})"
        )

    def _activate(self) -> None:
        assert self._session is not None
        self._session.activate()
        self._peers = Peers(self._session)
        self._bond = bond.form(self)

    def interrupt(self, reason: str) -> bool:
        """Aborts the goal that is running, and waits until the robot was told to stop. Returns whether there was one."""
        return self._relocalize.interrupt(reason)

    def _deactivate(self) -> None:
        self.interrupt("the node was deactivated")
        if self._peers is not None:
            self._peers.close()
            self._peers = None
        if self._session is not None:
            self._session.deactivate()
        if self._bond is not None:
            self._bond.close()
            self._bond = None

    def _deactivate_and_learn(self) -> None:
        self._deactivate()
        if self._session is not None:
            self._session.learn()

    def _cleanup(self) -> None:
        if self._vpr_services is not None:
            self._vpr_services.close()
            self._vpr_services = None
        if self._session is not None:
            session, self._session, self._map_watch = self._session, None, None
            session.close()
            del session
            gc.collect()  # session and worker refer to each other; free the memory of model and map now

    # Parameters, clock, diagnostics

    def _on_set_parameters(self, changed: list[Parameter]) -> SetParametersResult:
        with self._lock:
            return parameter_updates.on_set_parameters(self, self._session, changed)

    def _on_clock_jump(self, jump: TimeJump) -> None:
        self.get_logger().warning("the clock jumped back: motion and sequence are reset")
        session = self._session
        if session is not None:
            session.reset("the clock jumped back: the sequence starts again")

    def _publish_diagnostics(self) -> None:
        session, error = self._session, self._error
        places, dropped = None, {}
        if session is not None:
            engine = session.engine
            try:
                places = len(engine.map)
            except VprError as map_error:
                if session is self._session and engine is session.engine:  # else the map was closed just now
                    error = str(map_error)
            if self._map_watch is not None:
                session.worker.submit(self._map_watch.check)
                error = error or self._map_watch.error
            self._health.learning = engine.learned.progress
            self._health.fleet = session.fleet
            if self._state == "active":
                session.worker.submit(partial(session.publishers.draw_places, engine.map))
            dropped = dict(session.worker.dropped)
        name = self.get_fully_qualified_name().strip("/")  # several nodes share /diagnostics
        stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(self._health.message(name, self._state, error, places, dropped, stamp))
