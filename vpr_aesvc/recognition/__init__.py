"""Recognition: descriptor -> match, from similarity, the sequence of frames, and geometric verification."""
