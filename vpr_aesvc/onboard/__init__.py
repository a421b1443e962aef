"""What runs on a robot, frame by frame, whatever brings the frames: the ROS 2 node is one way."""
