"""Starts the node, and optionally RViz and the playback of a bag.

ros2 launch vpr_aesvc vpr.launch.py model:=my_model map:=office.vprmap image_topic:=/camera/image_raw
ros2 launch vpr_aesvc vpr.launch.py namespace:=robot1 cameras:=front,rear model:=my_model map:=office.vprmap
ros2 launch vpr_aesvc vpr.launch.py --show-args

Topics without a leading slash are in the namespace. There is no use_intra_process: nodes in Python have no intra-process communication.
"""

import os
import re
from pathlib import Path
from typing import NamedTuple

from ament_index_python.packages import get_package_share_directory
from ament_index_python.resources import get_resource, get_resources
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, LogInfo, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node
from launch_ros.event_handlers import OnStateTransition

NODE = "vpr_node"
DIRECT = ("", "raw", "compressed")  # the node reads these itself; "" if no argument gives a transport
SHARE = Path(get_package_share_directory("vpr_aesvc"))

# Seconds from the creation of the bag's topics to its first message, so that the node misses none.
START_DELAY = ["--delay", "2"]

ARGUMENTS = [
    ("model", "", "Model folder, written by `vpr train` or `vpr export`"),
    ("map", "", "Map file (.vprmap); modes mapping and slam create a missing one"),
    ("mode", "", "localization (default), mapping or slam"),
    (
        "cameras",
        "",
        "Names of several cameras, separated by commas, for example front,rear; by default one camera without a name",
    ),
    ("rig", "", "true: all cameras together give one match and one pose"),
    (
        "image_topic",
        "",
        "Images (sensor_msgs/Image); by default camera/image_raw, with cameras NAME/image_raw. One for each of cameras, separated by commas",
    ),
    (
        "camera_info_topic",
        "",
        "Intrinsics (sensor_msgs/CameraInfo), one for each of cameras; by default camera_info beside the image topic",
    ),
    (
        "depth_topic",
        "",
        "Depth images aligned to the color images (sensor_msgs/Image), one for each of cameras; by default depth or NAME/depth",
    ),
    (
        "image_transport",
        "",
        "raw (default), compressed, or another transport of the images, such as theora: image_transport's republish decodes it",
    ),
    ("compressed", "", "true is the same as image_transport:=compressed"),
    (
        "reliability",
        "",
        "QoS of the image subscriptions: best_effort (default; receives from both kinds of publishers) or reliable",
    ),
    ("pose_source", "", "Source of the robot's motion: odom (default), pose, tf or none"),
    ("odom_topic", "odom", "The robot's odometry (nav_msgs/Odometry)"),
    (
        "tf_topic",
        "tf",
        "Transforms; the static ones are on TF_TOPIC_static. With a namespace it is NAMESPACE/tf, as in Nav2; /tf if the robots share it",
    ),
    ("pose_topic", "~/pose", "Topic for the poses of accepted matches; for AMCL see nav2_relocalize.launch.py"),
    ("amcl_pose_topic", "amcl_pose", "Pose with covariance of another localization; pose for slam_toolbox"),
    (
        "cmd_vel_topic",
        "cmd_vel",
        "Where the action ~/relocalize turns the robot, if its goal allows it; cmd_vel_nav with Nav2",
    ),
    ("params_file", str(SHARE / "config" / "vpr.yaml"), "Parameter file (YAML); launch arguments override it"),
    ("namespace", "", "Namespace of the node and of all topics without a leading slash"),
    ("use_sim_time", "", "Use the time of /clock, from a simulator or the bag; by default true with bag, else false"),
    ("autostart", "true", "Configure and activate the node at startup; false if a lifecycle manager does it"),
    (
        "use_respawn",
        "false",
        "Start the node again 2 s after it has crashed; a lifecycle manager must activate it then",
    ),
    ("log_level", "info", "debug, info, warn, error or fatal"),
    ("rviz", "false", "Open RViz with places, matches and the match image"),
    ("bag", "", "A bag to play, with /clock, once the node is active"),
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
    arguments["use_sim_time"] = arguments["use_sim_time"] or str(bool(arguments["bag"]))
    transport, cameras = image_transport(arguments), camera_topics(arguments)
    node = vpr_node(arguments, cameras, transport)
    decoders = [republisher(arguments, camera, transport) for camera in cameras if transport not in DIRECT]
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        namespace=arguments["namespace"],  # the topics in vpr.rviz have no leading slash
        arguments=["-d", str(SHARE / "rviz" / "vpr.rviz")],
        parameters=[{"use_sim_time": boolean(arguments, "use_sim_time")}],
        remappings=tf_remappings(arguments),
    )
    playback = bag_player(arguments, node) if arguments["bag"] else []
    # event handlers first, so that they miss no transition
    return [*playback, *decoders, node, *([rviz] if boolean(arguments, "rviz") else [])]


def vpr_node(arguments: dict, cameras: list, transport: str) -> LifecycleNode:
    given = ("model", "map", "mode", "pose_source", "reliability")
    overrides = {name: arguments[name] for name in given if arguments[name]}
    overrides |= {name: boolean(arguments, name) for name in ("autostart", "use_sim_time")}
    if transport:
        overrides["compressed"] = transport == "compressed"
    if arguments["rig"]:
        overrides["rig"] = boolean(arguments, "rig")
    if arguments["cameras"]:
        overrides["cameras"] = [camera.name for camera in cameras]
    images = [(camera.input("image"), camera.image if transport in DIRECT else camera.decoded) for camera in cameras]
    infos = [(camera.input("camera_info"), camera.camera_info) for camera in cameras]
    return LifecycleNode(
        package="vpr_aesvc",
        executable="vpr_node",
        name=NODE,
        namespace=arguments["namespace"],
        parameters=[arguments["params_file"], overrides],
        remappings=[
            *images,
            *infos,
            *((camera.input("depth"), camera.depth) for camera in cameras if camera.depth),
            *tf_remappings(arguments),
            ("odom", arguments["odom_topic"]),
            ("~/pose", arguments["pose_topic"]),
            ("amcl_pose", arguments["amcl_pose_topic"]),
            ("cmd_vel", arguments["cmd_vel_topic"]),
        ],
        arguments=["--ros-args", "--log-level", arguments["log_level"]],
        respawn=boolean(arguments, "use_respawn"),
        respawn_delay=2.0,
        output="screen",
        emulate_tty=True,
    )


class Camera(NamedTuple):
    """A camera's name, empty for a single camera, and its topics."""

    name: str
    image: str
    camera_info: str
    depth: str

    def input(self, topic: str) -> str:
        """The node's own name of a topic, before remapping."""
        return f"{self.name}/{topic}" if self.name else topic

    @property
    def decoded(self) -> str:
        """Images that `republish` has decoded."""
        return f"{NODE}/{self.input('image')}"


def camera_topics(arguments: dict) -> list:
    names = split(arguments["cameras"]) or [""]
    images = split(arguments["image_topic"]) or [f"{name or 'camera'}/image_raw" for name in names]
    infos = split(arguments["camera_info_topic"])
    infos = infos or ["/".join([*image.split("/")[:-1], "camera_info"]) for image in images]
    depths = split(arguments["depth_topic"]) or [""] * len(names)
    for argument, topics in (("image_topic", images), ("camera_info_topic", infos), ("depth_topic", depths)):
        if len(topics) != len(names):
            raise RuntimeError(
                f"{argument}: expected {len(names)} topic(s), one for each of cameras:={arguments['cameras']}, "
                f"separated by commas; found {', '.join(topics)}"
            )
    return [Camera(*topics) for topics in zip(names, images, infos, depths, strict=True)]


def tf_remappings(arguments: dict) -> list:
    """TF subscribes to absolute names, which a namespace alone does not move."""
    return [("/tf", arguments["tf_topic"]), ("/tf_static", f"{arguments['tf_topic']}_static")]


def image_transport(arguments: dict) -> str:
    """The transport of the images; empty if no argument gives one, so that the parameter file decides."""
    transport, compressed = arguments["image_transport"], arguments["compressed"]
    if compressed:
        alias = "compressed" if boolean(arguments, "compressed") else "raw"
        if transport and (transport == "compressed") != (alias == "compressed"):
            raise RuntimeError(f"image_transport:={transport} contradicts compressed:={compressed}; give one of them")
        transport = transport or alias
    if transport not in DIRECT and transport not in (installed := installed_transports()):
        distro = os.environ.get("ROS_DISTRO", "DISTRO")
        raise RuntimeError(
            f"image_transport {transport!r} is not installed (found: {', '.join(installed) or 'none'}): sudo apt install "
            f"ros-{distro}-image-transport ros-{distro}-image-transport-plugins; raw and compressed need neither"
        )
    return transport


def installed_transports() -> list:
    """The transports that image_transport can subscribe to, from the plugin descriptions of the installed packages."""
    kind = "image_transport__pluginlib__plugin"
    files = [
        Path(prefix) / file
        for package, prefix in get_resources(kind).items()
        for file in get_resource(kind, package)[0].split()
    ]
    return sorted({name for file in files for name in re.findall(r"image_transport/(\w+)_sub", file.read_text())})


def republisher(arguments: dict, camera: Camera, transport: str) -> Node:
    """Decodes a camera's images. Humble's `republish` takes the transports as words, later ones as parameters."""
    return Node(
        package="image_transport",
        executable="republish",
        name=f"{NODE}_{camera.input('republish').replace('/', '_').strip('_')}",
        namespace=arguments["namespace"],
        arguments=[transport, "raw"],
        parameters=[
            {
                "in_transport": transport,
                "out_transport": "raw",
                "use_sim_time": boolean(arguments, "use_sim_time"),
            }
        ],
        remappings=[(f"in/{transport}", f"{camera.image}/{transport}"), ("out", camera.decoded)],
        output="screen",
    )


def bag_player(arguments: dict, node: LifecycleNode) -> list:
    """Plays the bag once the node is active, so that it misses no frame."""
    clock = ["--clock"] if boolean(arguments, "use_sim_time") else []
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


def boolean(arguments: dict, name: str) -> bool:
    word = arguments[name].lower()
    if word not in ("true", "1", "yes", "false", "0", "no"):
        raise RuntimeError(f"{name}: expected true or false, found {arguments[name]!r}")
    return word in ("true", "1", "yes")


def split(text: str) -> list:
    return [word.strip() for word in text.split(",") if word.strip()]
