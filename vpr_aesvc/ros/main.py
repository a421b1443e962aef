"""The executable ``vpr_node``."""

from __future__ import annotations

import gc
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from types import FrameType

_THREADS = 3  # sensors, services, and what asks for parameters and transitions
_SWITCH = 0.0005  # seconds
_LOOK = 0.2  # seconds between looks for a signal


def main(args: Sequence[str] | None = None) -> int:
    """Runs the node until SIGINT or SIGTERM; then stops and frees everything, so that the map is whole, and returns 0."""
    stopping = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)  # before the imports, which take a second or two on a small robot
    try:
        import rclpy
        import vpr_aesvc_msgs  # noqa: F401
        from rclpy.exceptions import InvalidHandle
        from rclpy.executors import MultiThreadedExecutor
        from rclpy.lifecycle import TransitionCallbackReturn
        from rclpy.signals import SignalHandlerOptions
    except ImportError as error:
        print(
            f"error: {error}; the node runs on ROS 2: source /opt/ros/DISTRO/setup.bash and the workspace's "
            "install/setup.bash, and run it with a Python that sees both",
            file=sys.stderr,
        )
        return 1
    from vpr_aesvc.errors import VprError
    from vpr_aesvc.ros.node import VprNode

    if stopping:
        return 0
    # Not rclpy's own handlers: they end the context at once, and the node could no longer stop in order.
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = VprNode()
    except VprError as error:
        print(f"error: {error}", file=sys.stderr)
        rclpy.try_shutdown()
        return 1
    # Two things that a thread which computes would wait for: the interpreter, given up by others only every 5 ms by default, and the
    # collector, which would look through every imported module again and again.
    sys.setswitchinterval(_SWITCH)
    gc.collect()
    gc.freeze()
    executor = MultiThreadedExecutor(_THREADS)
    executor.add_node(node)
    try:
        if node.get_parameter("autostart").value and node.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            node.trigger_activate()
        while not stopping and rclpy.ok():
            try:
                executor.spin_once(timeout_sec=_LOOK)
            except InvalidHandle:
                continue  # a transition destroyed what rclpy was about to wait for; at the next look it is gone from the list
            except Exception:  # of one callback, ours or rclpy's; the robot drives on, and so does its node
                node.get_logger().error(f"a fault of this program: {traceback.format_exc()}", throttle_duration_sec=5.0)
                time.sleep(_LOOK)
    finally:
        with node.busy:
            node.release()
        if (pool := getattr(executor, "_executor", None)) is not None:
            pool.shutdown()  # else Jazzy's executor destroys what its threads are still using
        executor.shutdown(timeout_sec=5.0)
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
