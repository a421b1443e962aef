"""Constraints between places of finished maps: loop closures, pose graphs, and transforms between maps."""
