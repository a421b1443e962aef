"""A fleet's map: the places of many robots, in PostgreSQL with pgvector. psycopg is imported when one is opened, not before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vpr_aesvc.errors import require_installed
from vpr_aesvc.placemap.placemap import PlaceMap

if TYPE_CHECKING:
    from vpr_aesvc.describer import Describer
    from vpr_aesvc.fleet.fleet_map import FleetMap
    from vpr_aesvc.placemap.interface import OpenMap

__all__ = ["check_new", "create_fleet_map", "is_fleet_url", "open_fleet_map", "open_map"]

FLEET_ID = "fleet_id"
"""Key of ``Place.extra``: the fleet's id of a place that was pulled. Such a place is another robot's."""


def is_fleet_url(where: Path | str) -> bool:
    """Whether this is the address of a fleet's map, not a file."""
    return str(where).startswith(("postgresql:", "postgres:"))


def open_map(where: Path | str, describer: Describer | None = None) -> OpenMap:
    """An existing map: a ``.vprmap`` file, or a fleet's map such as ``postgresql://host/db?map=city``.

    Args:
        describer: the model that will be used; it must be of the model family that made the map.

    Raises:
        VprError: there is no such map, it was made with another model, or the server cannot be reached.
    """
    return open_fleet_map(str(where), describer) if is_fleet_url(where) else PlaceMap.open(where, describer)


def open_fleet_map(url: str, describer: Describer | None = None) -> FleetMap:
    """As ``open_map``, for an address."""
    require_fleet()
    from vpr_aesvc.fleet.fleet_map import FleetMap

    return FleetMap.open(url, describer)


def create_fleet_map(url: str, meta: Mapping[str, str]) -> FleetMap:
    """A new, empty map with a map's metadata. Raises VprError if there is one of this name and model."""
    require_fleet()
    from vpr_aesvc.fleet.fleet_map import FleetMap

    return FleetMap.create(url, meta)


def check_new(url: str, describer: Describer) -> None:
    """Raises VprError if ``create_fleet_map`` would, for a map of this model."""
    require_fleet()
    from vpr_aesvc.fleet.fleet_map import FleetMap

    FleetMap.check_new(url, describer.family).close()


def require_fleet() -> None:
    """Raises VprError if the extra is not installed."""
    require_installed("a fleet's map (the extra `fleet`)", "psycopg", "pgvector")
