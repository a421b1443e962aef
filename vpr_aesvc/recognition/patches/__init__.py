"""Re-ranking of candidates by the encoder's own patches: the tokens of a transformer, or the last feature map of a CNN."""
