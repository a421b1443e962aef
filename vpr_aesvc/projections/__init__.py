"""Projections: embedding -> adaptive descriptor. Fitted with torch or numpy, always run in numpy."""

from vpr_aesvc.projections.artifact import Projection

__all__ = ["Projection"]
