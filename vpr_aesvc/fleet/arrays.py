"""A fleet's map in memory, for recognition: as of a ``.vprmap``, read from the server and kept up to date with it."""

from __future__ import annotations

import numpy as np

from vpr_aesvc.fleet.connection import Db
from vpr_aesvc.fleet.places import select_batches, select_ids
from vpr_aesvc.placemap.place_arrays import PlaceArrays


class FleetArrays(PlaceArrays):
    """Rows by ascending id. When places were removed, got other poses, or were committed late, all are read again."""

    _horizon = 0  # all transactions below it have been read
    _seen: tuple[frozenset[int], int] = (
        frozenset(),
        0,
    )  # changes above it that have been read, and the last revision of a pose

    def update(self, db: Db, map_id: int, in_frame: list[int]) -> None:
        """Reads the changes, within a reading transaction.

        Args:
            in_frame: ids of the traverses whose poses are in the frame of the map; other poses are left out.
        """
        horizon = horizon_of(db)
        query = "SELECT id, count, first, last FROM vpr.changes WHERE map = %s AND xid >= %s::text::xid8"
        changes = db.execute(query, [map_id, str(self._horizon)]).fetchall()
        revision = (db.execute("SELECT max(revision) FROM vpr.poses WHERE map = %s", [map_id]).fetchone() or (0,))[
            0
        ] or 0
        new = [change for change in changes if change[0] not in self._seen[0]]
        last_id = int(self.ids[-1]) if len(self) else -1
        version, alters = self._version or (0, 0)
        if self._version is None or self._seen[1] != revision or any(one[1] < 0 or one[2] <= last_id for one in new):
            self._clear()
            ids, alters = select_ids(db, map_id), alters + 1
        else:
            ids = np.concatenate([np.empty(0, np.int64), *(np.arange(first, last + 1) for _, _, first, last in new)])
        if new or self._version is None:
            self._version = None  # until all have arrived
            self._append(select_batches(db, map_id, np.unique(ids), in_frame))
            self._version = version + 1, alters
        self._horizon, self._seen = horizon, (frozenset(change[0] for change in changes), revision)


def horizon_of(db: Db) -> int:
    """All transactions with a smaller id have ended, as this transaction sees them."""
    row = db.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text").fetchone()
    assert row is not None
    return int(row[0])
