"""Bridges to other tools. COLMAP models and RTAB-Map databases are inputs: see ``vpr_aesvc.recordings``."""
