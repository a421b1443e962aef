"""Recordings: ROS 1 and ROS 2 bags, videos, and folders of images with a trajectory. ``vpr_aesvc.open_input`` opens them."""
