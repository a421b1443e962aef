"""The bond with ``nav2_lifecycle_manager``: heartbeats, by which the manager notices that the node has died.

The protocol is that of bond_core: both sides publish their status on the topic ``bond``, with the node's name as the id. All nodes of
Nav2 share the topic, which makes some 200 messages a second. A callback for each would cost a Python node much CPU, so here one thread
reads them in bulk; it also sends the heartbeats, which therefore do not stop while the executor is busy.
"""

import threading
import uuid
from typing import Any

from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode
from rclpy.serialization import deserialize_message

from vpr_aesvc.ros.sensor_thread import OutsideExecutor

try:
    from bond.msg import Status
except ImportError:  # Nav2 is not installed
    Status = None

# As Nav2's own nodes.
_PERIOD = 0.1  # seconds between two heartbeats
_TIMEOUT = 4.0  # seconds without the manager's heartbeat, after which it counts as dead


class Bond:
    """Sends heartbeats until it is closed. A manager that ends or dies is logged; the node goes on, and bonds with the next one."""

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        self._instance = str(uuid.uuid4())
        self._manager = ""  # instance of the other side; empty while there is none
        self._silent = 0.0  # seconds since the manager's last heartbeat
        self._publisher = node.create_publisher(Status, "bond", 5)
        self._subscription = node.create_subscription(
            Status, "bond", lambda _message: None, 100, callback_group=OutsideExecutor(), raw=True
        )
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bond", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Tells the manager that the bond ends as intended."""
        self._closing.set()
        self._thread.join()
        self._publish(active=False)
        self._publisher.wait_for_all_acked(Duration(seconds=0.1))
        self._node.destroy_subscription(self._subscription)
        self._node.destroy_publisher(self._publisher)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._publish(active=True)
            self._closing.wait(_PERIOD)
            self._silent += _PERIOD
            for status in self._received():
                self._handle(status)
            if self._manager and self._silent > _TIMEOUT:
                self._lost(f"no heartbeat of the lifecycle manager for {_TIMEOUT:.0f} s")

    def _handle(self, status: Any) -> None:
        if status.active and not self._manager:
            self._manager = status.instance_id
            self._node.get_logger().info("bond with the lifecycle manager formed")
        if status.instance_id == self._manager:
            self._silent = 0.0
            if not status.active:
                self._publish(active=False)  # the manager waits for it
                self._lost("the lifecycle manager has ended the bond")

    def _lost(self, reason: str) -> None:
        self._node.get_logger().warning(f"{reason}: the node goes on without it")
        self._manager, self._instance = "", str(uuid.uuid4())

    def _received(self) -> list[Any]:
        """What the other side of this bond has sent."""
        name = self._node.get_name()
        statuses = []
        handle = self._subscription.handle
        with handle:
            while (taken := handle.take_message(Status, True)) is not None:
                if name.encode() in taken[0]:  # most messages are of other bonds
                    statuses.append(deserialize_message(taken[0], Status))
        return [status for status in statuses if status.id == name and status.instance_id != self._instance]

    def _publish(self, active: bool) -> None:
        status = Status(id=self._node.get_name(), instance_id=self._instance, active=active)
        status.heartbeat_period, status.heartbeat_timeout = _PERIOD, _TIMEOUT
        status.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(status)


def form(node: LifecycleNode) -> Bond | None:
    """Starts the bond; None if package bond, which comes with Nav2, is not installed."""
    if Status is None:
        node.get_logger().debug("no bond with a lifecycle manager: package bond is not installed")
        return None
    return Bond(node)
