"""The executable ``vpr_rtabmap``."""

import sys
from collections.abc import Sequence


def main(args: Sequence[str] | None = None) -> int:
    """Runs the bridge until SIGINT or SIGTERM. Returns the exit code: 1 if ROS 2 or the messages of RTAB-Map are missing."""
    try:
        import rclpy
        from rclpy.executors import ExternalShutdownException

        from vpr_aesvc.ros.rtabmap import RtabmapBridge
    except ImportError as error:
        from vpr_aesvc.ros.import_errors import explain

        print(f"error: {explain(error)}", file=sys.stderr)
        return 1
    rclpy.init(args=args)
    try:
        rclpy.spin(RtabmapBridge())
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()
    return 0
