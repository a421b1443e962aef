"""Plays a bag through the node in mode mapping, and ends when the bag does.

    ros2 launch vpr_aesvc map_bag.launch.py bag:=drive model:=my_model map:=office.vprmap

`vpr map build` does the same from the file, faster, and without dropping a frame; this one shows what the robot itself will make of its topics.
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
    ("model", None, "Folder of the model, made by `vpr train` or `vpr export`"),
    ("map", None, "The .vprmap file to make, or to add a drive to"),
    ("image_topic", "/camera/image_raw", "Images (sensor_msgs/Image)"),
    ("compressed", "false", "Take IMAGE_TOPIC/compressed (sensor_msgs/CompressedImage) instead"),
    ("odom_topic", "/odom", "The robot's odometry (nav_msgs/Odometry)"),
    ("bag_rate", "1.0", "Speed of the bag; slower than 1 where the CPU cannot keep up"),
]


def generate_launch_description() -> LaunchDescription:
    launch = Path(get_package_share_directory("vpr_aesvc")) / "launch" / "vpr.launch.py"
    given = {name: LaunchConfiguration(name) for name, _, _ in ARGUMENTS}
    node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(launch)), launch_arguments={**given, "mode": "mapping"}.items()
    )
    ended = OnProcessExit(
        target_action=_plays,
        on_exit=[EmitEvent(event=Shutdown(reason="the bag has been played"))],
    )
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=words) for name, default, words in ARGUMENTS
    ]
    return LaunchDescription([*declared, RegisterEventHandler(ended), node])


def _plays(action: object) -> bool:
    """Whether a process is the one that plays the bag."""
    details = getattr(action, "process_details", None)
    return bool(details) and details["cmd"][:3] == ["ros2", "bag", "play"]
