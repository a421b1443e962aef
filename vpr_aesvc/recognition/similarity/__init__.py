"""What similarity is worth in one map: null model, neighborhoods, calibration."""
