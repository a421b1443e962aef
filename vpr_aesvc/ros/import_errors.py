"""Says what an ImportError means on a robot. Needs no ROS."""

from vpr_aesvc.onboard.finding import Finding


def explain(error: ImportError) -> Finding:
    """Level ``warning`` if ROS 2 is not sourced at all."""
    if error.name == "rclpy":
        advice = (
            "source /opt/ros/DISTRO/setup.bash and the workspace's install/setup.bash, and use the Python of that ROS 2"
        )
        return Finding("warning", f"ROS 2 is not sourced ({error})", advice)
    if (error.name or "").startswith("rclpy."):
        return Finding(
            "error", f"this Python cannot use rclpy ({error})", "run it with the Python that ROS 2 was built for"
        )
    if (error.name or "").split(".")[0] == "vpr_aesvc_msgs":
        advice = "build it with `colcon build`, then source install/setup.bash of the workspace"
        return Finding("error", f"the package vpr_aesvc_msgs is not built or not sourced ({error})", advice)
    if (error.name or "").split(".")[0] == "rtabmap_msgs":
        return Finding(
            "error", f"RTAB-Map's messages are missing ({error})", "sudo apt install ros-DISTRO-rtabmap-msgs"
        )
    return Finding("error", f"cannot import {error.name or 'a package'}: {error}", "install or repair this package")
