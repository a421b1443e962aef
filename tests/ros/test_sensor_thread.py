"""Sensor messages are received outside the executor."""

import threading

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not sourced")

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import Int32

from tests.ros.robot import wait_for
from vpr_aesvc.ros.sensor_thread import SensorThread

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks


@pytest.fixture
def node():
    context = rclpy.Context()
    rclpy.init(context=context)
    made = rclpy.create_node("sensors_under_test", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(made)
    stopping = threading.Event()

    def spin():
        while not stopping.is_set():
            executor.spin_once(timeout_sec=0.05)

    thread = threading.Thread(target=spin)
    thread.start()
    yield made
    stopping.set()
    thread.join()
    executor.shutdown()
    made.destroy_node()
    context.try_shutdown()


def test_messages_come_in_order_in_the_thread_until_it_is_closed(node):
    received, threads, events = [], set(), []
    sensors = SensorThread(node)

    def on_number(message):
        threads.add(threading.current_thread().name)
        received.append(message.data)
        if message.data == 3:
            raise RuntimeError("a message that cannot be used")

    reliable = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
    sensors.subscribe(Int32, "numbers", on_number, reliable)
    callbacks = SubscriptionEventCallbacks(incompatible_qos=events.append)
    sensors.subscribe(Int32, "fast_numbers", on_number, reliable, event_callbacks=callbacks)
    sensors.start()
    publisher = node.create_publisher(Int32, "numbers", reliable)
    wait_for(publisher.get_subscription_count, what="the subscription")
    for number in range(10):
        publisher.publish(Int32(data=number))
    wait_for(lambda: len(received) == 10, what=f"10 messages, received {received}")
    assert received == list(range(10)) and threads == {"sensors"}
    # The executor still handles the events of the subscriptions.
    node.create_publisher(Int32, "fast_numbers", QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
    wait_for(lambda: events, what="an incompatible QoS")
    sensors.close()
    wait_for(lambda: not publisher.get_subscription_count(), what="the end of the subscription")
    assert not list(node.subscriptions) and "sensors" not in {thread.name for thread in threading.enumerate()}


def test_a_thread_that_never_started_can_be_closed(node):
    sensors = SensorThread(node)
    sensors.subscribe(Int32, "numbers", lambda message: None, 1)
    sensors.close()
    assert not list(node.subscriptions)
