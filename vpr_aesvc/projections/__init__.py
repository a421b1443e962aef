"""Projections: embedding -> adaptive descriptor. Training uses torch or numpy, inference only numpy."""

from vpr_aesvc.projections.artifact import Projection

__all__ = ["Projection"]
