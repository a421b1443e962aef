"""The ROS tests run on a real ROS 2, over DDS on loopback, in a domain of their own; elsewhere they skip and say so."""

import os

os.environ.setdefault("ROS_DOMAIN_ID", str(os.getpid() % 100 + 1))
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
