"""Receives sensor messages in a thread of its own. rclpy's executor would build its wait set in Python several times for each message,
from every service, timer and subscription of the node: 1.4 ms until an image arrives, while the worker waits for the interpreter lock.
"""

import threading
import traceback
from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.guard_condition import GuardCondition
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode
from rclpy.subscription import Subscription


class SensorThread:
    """Subscriptions of a node whose callbacks run one after the other in one thread, from ``start`` to ``close``."""

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        self._group = OutsideExecutor()
        self._subscriptions: list[Any] = []
        self._wake = node.create_guard_condition(lambda: None, self._group)
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="sensors", daemon=True)

    def subscribe(self, kind: Any, topic: str, callback: Callable[[Any], None], qos: Any, **options: Any) -> None:
        """The arguments of ``create_subscription``. Call it before ``start``."""
        subscription = self._node.create_subscription(kind, topic, callback, qos, callback_group=self._group, **options)
        self._subscriptions.append(subscription)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Waits for the current callback, then unsubscribes."""
        self._closing = True
        if self._thread.ident is not None:
            self._wake.trigger()
            self._thread.join()
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._node.destroy_guard_condition(self._wake)

    def _run(self) -> None:
        count = len(self._subscriptions)
        wait_set = rclpy_implementation.WaitSet(count, 1, 0, 0, 0, 0, self._node.context.handle)
        while not self._closing:
            wait_set.clear_entities()
            for subscription in self._subscriptions:
                wait_set.add_subscription(subscription.handle)
            wait_set.add_guard_condition(self._wake.handle)
            wait_set.wait(-1)
            ready = wait_set.get_ready_entities("subscription")
            for subscription in self._subscriptions:
                if subscription.handle.pointer in ready and not self._closing:
                    self._take(subscription)

    def _take(self, subscription: Any) -> None:
        try:
            taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
            if taken is not None:
                subscription.callback(taken[0])
        except Exception:  # of one message: the next ones must still be received
            self._node.get_logger().error(f"internal error: {traceback.format_exc()}", throttle_duration_sec=5.0)


class OutsideExecutor(ReentrantCallbackGroup):
    """Of its entities, the executor handles only events such as an incompatible QoS."""

    def can_execute(self, entity: Any) -> bool:
        return not isinstance(entity, (Subscription, GuardCondition))
