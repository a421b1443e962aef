"""Recordings: ROS 1 and ROS 2 bags, videos, and folders of images with a trajectory. :func:`vpr_aesvc.open_input` opens them."""
