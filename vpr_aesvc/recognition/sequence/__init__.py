"""Position along the map from the sequence of frames: a discrete Bayes filter over places."""
