"""Fleets' maps for tests: each with a name of its own on the session's server."""

import itertools

from tests.placemap.places import META, unit_rows

_NUMBERS = itertools.count()


def new_url(postgres, **words):
    """The address of a map that does not exist yet; ``words``: further parts of the address."""
    return f"{postgres.url}?map=city{next(_NUMBERS)}" + "".join(f"&{key}={value}" for key, value in words.items())


def new_fleet_map(url, frames=(), rows=None, images=None):
    """As ``tests.placemap.places.new_map``."""
    from vpr_aesvc.fleet.fleet_map import FleetMap

    fleet = FleetMap.create(url, META)
    if len(frames):
        fleet.add(frames, unit_rows(len(frames)) if rows is None else rows, images)
    return fleet
