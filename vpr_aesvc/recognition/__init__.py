"""What a match is worth: its probability, the sequence it stands in, and its geometry."""
