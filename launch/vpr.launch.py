"""Recognizes places, or maps them: the node, with whatever is wanted beside it (a bag that is played, RViz).

ros2 launch vpr_aesvc vpr.launch.py model:=my_model map:=office.vprmap image_topic:=/camera/image_raw
ros2 launch vpr_aesvc vpr.launch.py --show-args
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, LogInfo, OpaqueFunction, RegisterEventHandler
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessExit
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node
from launch_ros.event_handlers import OnStateTransition

SHARE = Path(get_package_share_directory("vpr_aesvc"))

DISCOVERY = [
    "--delay",
    "2",
]  # seconds from when the bag's topics are there to its first message, so that none is missed

ARGUMENTS = [
    ("model", "", "Folder of the model, made by `vpr train` or `vpr export`"),
    ("map", "", "The .vprmap file; mapping and slam make it where it is missing"),
    ("mode", "", "localization (default), mapping or slam"),
    ("image_topic", "/camera/image_raw", "Images (sensor_msgs/Image)"),
    ("compressed", "false", "Take IMAGE_TOPIC/compressed (sensor_msgs/CompressedImage) instead"),
    ("camera_info_topic", "", "The camera's intrinsics; by default camera_info beside the image topic"),
    ("odom_topic", "/odom", "The robot's odometry (nav_msgs/Odometry)"),
    ("pose_topic", "~/pose", "Where poses of accepted matches are published, such as /initialpose"),
    (
        "params_file",
        str(SHARE / "config" / "vpr.yaml"),
        "Parameters (YAML); the arguments here come before what it says",
    ),
    ("namespace", "", "Namespace of the node"),
    ("use_sim_time", "false", "Take the time from /clock, as a simulator or `ros2 bag play --clock` gives it"),
    ("autostart", "true", "Configure and activate the node at once; false where a lifecycle manager does"),
    ("log_level", "info", "debug, info, warn, error or fatal"),
    ("rviz", "false", "Open RViz with places, matches and the picture of the match"),
    ("bag", "", "A bag to play, from when the node is active"),
    ("bag_rate", "1.0", "Speed of the bag; slower than 1 where the CPU cannot keep up"),
]


def generate_launch_description() -> LaunchDescription:
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=words) for name, default, words in ARGUMENTS
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=everything)])


def everything(context: LaunchContext) -> list:
    given = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    for name in ("params_file", "bag"):
        # launch itself passes over a missing file of parameters in silence
        if given[name] and not Path(given[name]).expanduser().exists():
            raise RuntimeError(f"{name} {given[name]}: no such file or folder")
    node = vpr_node(given)
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", str(SHARE / "rviz" / "vpr.rviz")],
        parameters=[{"use_sim_time": _true(given["use_sim_time"])}],
        condition=IfCondition(given["rviz"]),
    )
    played = bag(given, node) if given["bag"] else []
    return [*played, node, rviz]  # handlers first, so that no transition is missed


def vpr_node(given: dict) -> LifecycleNode:
    image = given["image_topic"]
    info = given["camera_info_topic"] or "/".join([*image.split("/")[:-1], "camera_info"])
    over = {name: given[name] for name in ("model", "map", "mode") if given[name]}
    over |= {name: _true(given[name]) for name in ("compressed", "autostart", "use_sim_time")}
    return LifecycleNode(
        package="vpr_aesvc",
        executable="vpr_node",
        name="vpr_node",
        namespace=given["namespace"],
        parameters=[given["params_file"], over],
        remappings=[
            ("image", image),
            ("camera_info", info),
            ("odom", given["odom_topic"]),
            ("~/pose", given["pose_topic"]),
        ],
        arguments=["--ros-args", "--log-level", given["log_level"]],
        output="screen",
        emulate_tty=True,
    )


def bag(given: dict, node: LifecycleNode) -> list:
    """Plays it once the node is active, so that no frame is missed."""
    clock = ["--clock"] if _true(given["use_sim_time"]) else []
    how = ["--rate", given["bag_rate"], "--qos-profile-overrides-path", str(SHARE / "config" / "bag_qos.yaml")]
    command = ["ros2", "bag", "play", given["bag"], "--disable-keyboard-controls", *DISCOVERY, *how, *clock]
    play = ExecuteProcess(cmd=command, output="screen")
    started = OnStateTransition(target_lifecycle_node=node, goal_state="active", entities=[play], handle_once=True)
    failed = [
        OnStateTransition(
            target_lifecycle_node=node,
            start_state=at,
            goal_state=back,
            entities=[OpaqueFunction(function=never_active)],
        )
        for at, back in (("configuring", "unconfigured"), ("activating", "inactive"))
    ]
    ended = OnProcessExit(target_action=play, on_exit=played)
    return [RegisterEventHandler(one) for one in (started, *failed, ended)]


def never_active(context: LaunchContext) -> list:
    raise RuntimeError("the bag is not played, for the node could not be made active; it says why")


def played(event: ProcessExited, context: LaunchContext) -> list:
    if event.returncode and not context.is_shutdown:
        raise RuntimeError(f"the bag could not be played: ros2 bag play ended with {event.returncode}")
    return [LogInfo(msg="the bag has been played")]


def _true(text: str) -> bool:
    return text.lower() in ("true", "1", "yes")
