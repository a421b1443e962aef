"""The executable ``vpr_node``."""

import ctypes
import gc
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType

from vpr_aesvc.runtime import wait_passively

_THREADS = 3  # services; parameters and transitions; a goal
_SWITCH_INTERVAL = 0.0005  # seconds
_LAST_SECONDS = 1.0
_POLL = 0.2  # seconds between checks for a signal


def main(args: Sequence[str] | None = None) -> None:
    """Runs the node until SIGINT or SIGTERM, then stops it, closes the map and ends the process with exit code 0; 1 if it cannot start."""
    code = _run(args)
    # Not by the interpreter's own end. That restores the default action of signals, so a second Ctrl-C would end the process with -2. It also
    # unloads libraries whose threads may still run, which aborts it (-6).
    sys.stdout.flush()
    sys.stderr.flush()
    ctypes.CDLL(None).fflush(None)  # the streams of rcl's log
    os._exit(code)


def _run(args: Sequence[str] | None) -> int:
    """Returns the exit code."""
    wait_passively()
    stopping = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)  # before the imports: they take seconds on a small robot
    try:
        import rclpy
        import vpr_aesvc_msgs  # noqa: F401
        from rclpy.exceptions import InvalidHandle
        from rclpy.executors import MultiThreadedExecutor
        from rclpy.lifecycle import TransitionCallbackReturn
        from rclpy.signals import SignalHandlerOptions

        from vpr_aesvc.errors import VprError
        from vpr_aesvc.ros.node import VprNode
    except ImportError as error:
        from vpr_aesvc.ros.import_errors import explain

        print(f"error: {explain(error)}", file=sys.stderr)
        return 1
    if stopping:
        return 0
    # Without rclpy's signal handlers: they shut the context down at once, before the node can stop cleanly.
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:  # rclpy's RCLError: an argument or a parameter file that it cannot read
        reason = str(error).split(", at ")[0]
        hint = "; write all numbers of a list alike, as in [0.0, 1.5]" if "same type" in reason else ""
        print(f"error: {reason}{hint}", file=sys.stderr)
        return 1
    try:
        node = VprNode()
    except VprError as error:
        print(f"error: {error}", file=sys.stderr)
        rclpy.try_shutdown()
        return 1
    # Lower latency of the worker thread: switch threads faster than every 5 ms, and exclude imported modules from garbage collection.
    sys.setswitchinterval(_SWITCH_INTERVAL)
    gc.collect()
    gc.freeze()
    executor = MultiThreadedExecutor(_THREADS)
    executor.add_node(node)
    try:
        if node.get_parameter("autostart").value and node.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            node.trigger_activate()
        while not stopping and rclpy.ok():
            try:
                executor.spin_once(timeout_sec=_POLL)
            except InvalidHandle:
                continue  # a transition destroyed an entity that rclpy was about to wait for; the next call no longer has it
            except Exception:  # from one callback, ours or rclpy's: the node must go on
                node.get_logger().error(f"internal error: {traceback.format_exc()}", throttle_duration_sec=5.0)
                time.sleep(_POLL)
    finally:
        if node.interrupt("the node is stopping"):
            end = time.monotonic() + _LAST_SECONDS  # the result of the goal is sent: its client would wait forever
            while time.monotonic() < end:
                with suppress(Exception):
                    executor.spin_once(timeout_sec=_POLL)
        node.release()
        if (pool := getattr(executor, "_executor", None)) is not None:
            pool.shutdown()  # else Jazzy's executor destroys entities that its threads still use
        executor.shutdown(timeout_sec=5.0)
        node.destroy_node()
        rclpy.try_shutdown()
    return 0
