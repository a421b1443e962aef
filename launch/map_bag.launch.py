"""Plays a bag through the node in mode mapping, and ends with the bag.

    ros2 launch vpr_aesvc map_bag.launch.py bag:=drive model:=my_model map:=office.vprmap

`vpr map build` reads the bag file directly: faster, and without dropped frames. This launch file tests the topics as on the robot.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, EmitEvent, IncludeLaunchDescription, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

ARGUMENTS = [
    ("bag", None, "The bag to play"),
    ("model", None, "Model folder, written by `vpr train` or `vpr export`"),
    ("map", None, "Map file (.vprmap) to create or to extend"),
    ("image_topic", "/camera/image_raw", "Images (sensor_msgs/Image)"),
    ("compressed", "false", "Use IMAGE_TOPIC/compressed (sensor_msgs/CompressedImage) instead"),
    ("odom_topic", "/odom", "The robot's odometry (nav_msgs/Odometry)"),
    ("bag_rate", "1.0", "Playback rate; use less than 1 if the CPU cannot keep up"),
]


def generate_launch_description() -> LaunchDescription:
    launch = Path(get_package_share_directory("vpr_aesvc")) / "launch" / "vpr.launch.py"
    arguments = {name: LaunchConfiguration(name) for name, _, _ in ARGUMENTS}
    node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(launch)), launch_arguments={**arguments, "mode": "mapping"}.items()
    )
    on_end = OnProcessExit(
        target_action=_is_bag_player,
        on_exit=[EmitEvent(event=Shutdown(reason="the bag has ended"))],
    )
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, default, description in ARGUMENTS
    ]
    return LaunchDescription([*declared, RegisterEventHandler(on_end), node])


def _is_bag_player(action: object) -> bool:
    """Whether a process is `ros2 bag play`."""
    details = getattr(action, "process_details", None)
    return bool(details) and details["cmd"][:3] == ["ros2", "bag", "play"]
