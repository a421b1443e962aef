"""The ROS tests need a real ROS 2; without it they are skipped with the reason. They use DDS on loopback and their own domain."""

import os

os.environ.setdefault("ROS_DOMAIN_ID", str(os.getpid() % 100 + 1))
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
