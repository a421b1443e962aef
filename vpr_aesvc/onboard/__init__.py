"""Frame-by-frame processing on a robot, without ROS. The ROS 2 node is one user of it."""
