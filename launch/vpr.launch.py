"""Starts the node, and optionally RViz and the playback of a bag.

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

# Seconds from the creation of the bag's topics to its first message, so that the node misses none.
START_DELAY = ["--delay", "2"]

ARGUMENTS = [
    ("model", "", "Model folder, written by `vpr train` or `vpr export`"),
    ("map", "", "Map file (.vprmap); modes mapping and slam create a missing one"),
    ("mode", "", "localization (default), mapping or slam"),
    ("image_topic", "/camera/image_raw", "Images (sensor_msgs/Image)"),
    ("compressed", "false", "Use IMAGE_TOPIC/compressed (sensor_msgs/CompressedImage) instead"),
    (
        "camera_info_topic",
        "",
        "Camera intrinsics (sensor_msgs/CameraInfo); by default camera_info in the namespace of the image topic",
    ),
    ("odom_topic", "/odom", "The robot's odometry (nav_msgs/Odometry)"),
    ("pose_topic", "~/pose", "Topic for the poses of accepted matches, for example /initialpose"),
    ("params_file", str(SHARE / "config" / "vpr.yaml"), "Parameter file (YAML); launch arguments override it"),
    ("namespace", "", "Namespace of the node"),
    ("use_sim_time", "false", "Use the time of /clock, from a simulator or `ros2 bag play --clock`"),
    ("autostart", "true", "Configure and activate the node at startup; false if a lifecycle manager does it"),
    ("log_level", "info", "debug, info, warn, error or fatal"),
    ("rviz", "false", "Open RViz with places, matches and the match image"),
    ("bag", "", "A bag to play once the node is active"),
    ("bag_rate", "1.0", "Playback rate; use less than 1 if the CPU cannot keep up"),
]


def generate_launch_description() -> LaunchDescription:
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, default, description in ARGUMENTS
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=actions)])


def actions(context: LaunchContext) -> list:
    arguments = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    for name in ("params_file", "bag"):
        # launch itself ignores a missing parameter file silently
        if arguments[name] and not Path(arguments[name]).expanduser().exists():
            raise RuntimeError(f"{name} {arguments[name]}: no such file or folder")
    node = vpr_node(arguments)
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", str(SHARE / "rviz" / "vpr.rviz")],
        parameters=[{"use_sim_time": _is_true(arguments["use_sim_time"])}],
        condition=IfCondition(arguments["rviz"]),
    )
    playback = bag_player(arguments, node) if arguments["bag"] else []
    return [*playback, node, rviz]  # event handlers first, so that they miss no transition


def vpr_node(arguments: dict) -> LifecycleNode:
    image = arguments["image_topic"]
    camera_info = arguments["camera_info_topic"] or "/".join([*image.split("/")[:-1], "camera_info"])
    overrides = {name: arguments[name] for name in ("model", "map", "mode") if arguments[name]}
    overrides |= {name: _is_true(arguments[name]) for name in ("compressed", "autostart", "use_sim_time")}
    return LifecycleNode(
        package="vpr_aesvc",
        executable="vpr_node",
        name="vpr_node",
        namespace=arguments["namespace"],
        parameters=[arguments["params_file"], overrides],
        remappings=[
            ("image", image),
            ("camera_info", camera_info),
            ("odom", arguments["odom_topic"]),
            ("~/pose", arguments["pose_topic"]),
        ],
        arguments=["--ros-args", "--log-level", arguments["log_level"]],
        output="screen",
        emulate_tty=True,
    )


def bag_player(arguments: dict, node: LifecycleNode) -> list:
    """Plays the bag once the node is active, so that it misses no frame."""
    clock = ["--clock"] if _is_true(arguments["use_sim_time"]) else []
    options = ["--rate", arguments["bag_rate"], "--qos-profile-overrides-path", str(SHARE / "config" / "bag_qos.yaml")]
    command = ["ros2", "bag", "play", arguments["bag"], "--disable-keyboard-controls", *START_DELAY, *options, *clock]
    play = ExecuteProcess(cmd=command, output="screen")
    started = OnStateTransition(target_lifecycle_node=node, goal_state="active", entities=[play], handle_once=True)
    failed = [
        OnStateTransition(
            target_lifecycle_node=node,
            start_state=start,
            goal_state=goal,
            entities=[OpaqueFunction(function=fail_activation)],
        )
        for start, goal in (("configuring", "unconfigured"), ("activating", "inactive"))
    ]
    ended = OnProcessExit(target_action=play, on_exit=report_end)
    return [RegisterEventHandler(handler) for handler in (started, *failed, ended)]


def fail_activation(context: LaunchContext) -> list:
    raise RuntimeError("the bag is not played, because the node could not be activated; see its log for the reason")


def report_end(event: ProcessExited, context: LaunchContext) -> list:
    if event.returncode and not context.is_shutdown:
        raise RuntimeError(f"playback failed: ros2 bag play ended with exit code {event.returncode}")
    return [LogInfo(msg="the bag has been played")]


def _is_true(text: str) -> bool:
    return text.lower() in ("true", "1", "yes")
