"""The place map: the places of one environment, in one ``.vprmap`` file, searched through FAISS."""

from vpr_aesvc.placemap.placemap import PlaceMap

__all__ = ["PlaceMap"]
