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

# Required here. The other arguments are those of vpr.launch.py.
ARGUMENTS = [
    ("bag", "The bag to play"),
    ("model", "Model folder, written by `vpr train` or `vpr export`"),
    ("map", "Map file (.vprmap) to create or to extend"),
]


def generate_launch_description() -> LaunchDescription:
    launch = Path(get_package_share_directory("vpr_aesvc")) / "launch" / "vpr.launch.py"
    node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(launch)), launch_arguments={"mode": "mapping"}.items()
    )
    on_end = OnProcessExit(
        target_action=_is_bag_player,
        on_exit=[EmitEvent(event=Shutdown(reason="the bag has ended"))],
    )
    declared = [DeclareLaunchArgument(name, description=description) for name, description in ARGUMENTS]
    return LaunchDescription([*declared, RegisterEventHandler(on_end), node])


def _is_bag_player(action: object) -> bool:
    """Whether a process is `ros2 bag play`."""
    details = getattr(action, "process_details", None)
    return bool(details) and details["cmd"][:3] == ["ros2", "bag", "play"]
