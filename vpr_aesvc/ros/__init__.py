"""The ROS 2 node: thin, over ``vpr_aesvc.onboard``. Nothing outside this package imports rclpy or a message package."""
