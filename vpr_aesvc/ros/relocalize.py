"""The action ~/relocalize: looks until the robot's pose is sure, and may turn the robot meanwhile."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from geometry_msgs.msg import PoseWithCovarianceStamped, Twist, TwistStamped
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Header
from vpr_aesvc_msgs.action import Relocalize
from vpr_aesvc_msgs.msg import PlaceMatch

from vpr_aesvc.onboard.pose_search import PoseSearch
from vpr_aesvc.ros.convert import match_message, time_message, with_covariance
from vpr_aesvc.ros.session import Session
from vpr_aesvc.ros.settings import NodeSettings

# Seconds.
_TIME_LIMIT = 60.0  # if the goal gives none
_PERIOD = 0.1  # between two commands of the turn
_STALE = 2.0  # without a looked-at image, after which the robot does not turn
_ACKNOWLEDGED = 0.5  # for the stop
_END = 5.0  # for the end of a goal that is interrupted
_ONE_TURN = 2 * math.pi


class RelocalizeServer:
    """The action server, as long as the node. One goal at a time.

    Args:
        active: the session while the node is active, else None.
    """

    def __init__(self, node: LifecycleNode, active: Callable[[], Session | None]) -> None:
        self._node = node
        self._active = active
        self._running = threading.Lock()  # held by the goal that is running
        self._interruption = ""
        self._server = ActionServer(
            node,
            Relocalize,
            "~/relocalize",
            self._execute,
            goal_callback=self._on_goal,
            cancel_callback=lambda goal: CancelResponse.ACCEPT,
            callback_group=ReentrantCallbackGroup(),  # a goal can be canceled while another is refused
        )

    def interrupt(self, reason: str) -> bool:
        """Aborts the goal that is running, and waits until the robot was told to stop. Returns whether there was one."""
        was_running = self._running.locked()
        self._interruption = reason
        if self._running.acquire(timeout=_END):
            self._running.release()
        self._interruption = ""
        return was_running

    def _on_goal(self, request: Any) -> GoalResponse:
        """ROS 2 has no field for the reason of a rejection: the log says it."""
        session, reason = self._active(), ""
        if session is None:
            reason = "the node is not active"
        elif session.settings.mode == "mapping":
            reason = "mode mapping recognizes nothing; set mode to localization"
        elif not 0 <= request.time_limit < math.inf:
            reason = f"time_limit must be 0 or more seconds, found {request.time_limit}"
        elif self._running.locked():
            reason = "another goal is running; cancel it first"
        if reason:
            self._node.get_logger().warning(f"relocalize: goal rejected: {reason}")
        return GoalResponse.REJECT if reason else GoalResponse.ACCEPT

    def _execute(self, goal: Any) -> Relocalize.Result:
        """In a thread of the executor, until the goal ends."""
        session = self._active()
        if session is None or not self._running.acquire(blocking=False):
            goal.abort()
            return Relocalize.Result(message="the node is not active, or another goal is running")
        search = PoseSearch()
        turn = Turn(self._node, session.settings) if goal.request.allow_turn else None
        try:
            session.worker.submit(partial(_begin, session, search))
            reason = self._look(goal, session, search, turn)
        finally:
            if turn is not None:
                turn.close()
            search.stopped = search.stopped or "ended"
            session.localization.search = None
            self._running.release()
        result = _result(session, search, reason)
        self._node.get_logger().info(f"relocalize: {'found' if result.success else 'not found'}: {result.message}")
        if goal.is_cancel_requested:
            goal.canceled()
        elif result.success:
            goal.succeed()
        else:
            goal.abort()
        return result

    def _look(self, goal: Any, session: Session, search: PoseSearch, turn: Turn | None) -> str:
        """Why the search ended without a pose; empty once it is found."""
        request, started, last = goal.request, time.monotonic(), time.monotonic()
        limit = request.time_limit or _TIME_LIMIT
        while search.found is None:
            now = time.monotonic()
            if search.updated.is_set():
                search.updated.clear()
                last = now
                goal.publish_feedback(_feedback(search))
            if goal.is_cancel_requested:
                return "canceled"
            if self._interruption or search.stopped or self._active() is not session:
                return self._interruption or search.stopped or "the node was deactivated"
            if now - started >= limit:
                missing = [] if search.frames else map(str, session.health.inputs.missing())
                return f"not sure after {limit:g} s: {' | '.join(missing) or search.reason}"
            if request.max_frames and search.frames >= request.max_frames:
                return f"not sure after {search.frames} images: {search.reason}"
            if turn is not None and search.advice and now - last <= _STALE:
                if turn.angle >= _ONE_TURN:
                    return f"not sure after one turn: {search.reason}"
                turn.go()
            elif turn is not None:
                turn.stop()
            search.updated.wait(_PERIOD)
        return ""


class Turn:
    """Turns the robot on the spot by messages on ``cmd_vel``, on which it publishes nothing before the first turn.

    Attributes:
        angle: that was commanded, radians.
    """

    def __init__(self, node: LifecycleNode, settings: NodeSettings) -> None:
        self.angle = 0.0
        self._node = node
        self._settings = settings
        # Not a lifecycle publisher: it must be able to stop the robot whatever state the node is in.
        self._publisher = node.create_publisher(
            TwistStamped if settings.enable_stamped_cmd_vel else Twist, "cmd_vel", 10
        )
        self._last: float | None = None  # time of the last command; None while the robot does not turn

    def go(self) -> None:
        """Call it every ``_PERIOD`` seconds or more often."""
        now = time.monotonic()
        if self._last is not None:
            self.angle += (now - self._last) * self._settings.turn_speed
        self._last = now
        self._publish(self._settings.turn_speed)

    def stop(self) -> None:
        if self._last is not None:
            self._last = None
            self._publish(0.0)

    def close(self) -> None:
        """Stops, and waits until the message has arrived."""
        was_turning = self._last is not None
        self.stop()
        if was_turning:
            self._publisher.wait_for_all_acked(Duration(seconds=_ACKNOWLEDGED))
        self._node.destroy_publisher(self._publisher)

    def _publish(self, speed: float) -> None:
        twist = Twist()
        twist.angular.z = speed
        if self._settings.enable_stamped_cmd_vel:
            stamp = self._node.get_clock().now().to_msg()
            self._publisher.publish(
                TwistStamped(header=Header(stamp=stamp, frame_id=self._settings.base_frame), twist=twist)
            )
        else:
            self._publisher.publish(twist)


def _begin(session: Session, search: PoseSearch) -> None:
    """In the worker thread, between two frames."""
    if search.stopped:
        return  # canceled meanwhile
    session.engine.reset("a new localization was requested by a goal")
    session.localization.request()
    session.localization.search = search


def _feedback(search: PoseSearch) -> Relocalize.Feedback:
    probability, place = search.guesses[0] if search.guesses else (0.0, None)
    return Relocalize.Feedback(
        frames=search.frames,
        probability=float(probability),
        guess=PlaceMatch(place_id=-1) if place is None else match_message(place),
        advice=search.advice,
    )


def _result(session: Session, search: PoseSearch, reason: str) -> Relocalize.Result:
    """``reason``: why there is no pose; empty if there is one."""
    result = Relocalize.Result(success=not reason, message=reason or search.reason, frames=search.frames)
    result.guesses = [match_message(place) for _, place in search.guesses]
    result.probability = float(search.guesses[0][0]) if search.guesses else 0.0
    if not reason and search.found is not None:
        header = Header(stamp=time_message(search.stamp), frame_id=session.settings.map_frame)
        pose = with_covariance(search.found.base, search.found.covariance)
        result.pose, result.metric = PoseWithCovarianceStamped(header=header, pose=pose), search.found.metric
    return result
