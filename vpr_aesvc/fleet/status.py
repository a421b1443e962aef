"""What `vpr fleet status` prints."""

from __future__ import annotations

from typing import Any

from vpr_aesvc.fleet.address import FleetAddress
from vpr_aesvc.fleet.connection import FleetConnection


def fleet_status(url: str) -> list[dict[str, Any]]:
    """The maps of an address, of all names if it has none: name, model family, bytes on disk, and for each robot and frame the number of traverses
    and places and the last start, seconds since 1970. Raises VprError if the server cannot be reached or has no tables."""
    connection = FleetConnection(address := FleetAddress.parse(url, needs_map=False))
    connection.require_tables()
    query = """
        SELECT m.name, m.family, pg_total_relation_size(format('vpr.places_%%s', m.id)::regclass), coalesce(sum(r.places), 0)::bigint,
            coalesce(json_agg(json_build_object('robot', robot, 'frame', frame, 'traverses', traverses, 'places', r.places, 'last', last)
                ORDER BY robot, frame) FILTER (WHERE robot IS NOT NULL), '[]')
        FROM vpr.maps m LEFT JOIN (
            SELECT t.map, robot, frame, count(DISTINCT t.id) AS traverses, coalesce(sum(c.count), 0)::bigint AS places, max(started) AS last
            FROM vpr.traverses t LEFT JOIN vpr.changes c ON c.traverse = t.id GROUP BY t.map, robot, frame
        ) r ON r.map = m.id
        WHERE m.name = %s OR %s = '' GROUP BY m.id ORDER BY m.name, m.id"""
    with connection.transaction(reading=True) as db:
        found = db.execute(query, [address.map, address.map]).fetchall()
    connection.close()
    return [dict(zip(("map", "model_family", "size_bytes", "places", "robots"), row, strict=True)) for row in found]
