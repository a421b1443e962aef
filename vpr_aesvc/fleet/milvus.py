"""Milvus beside PostgreSQL, for search without a pose prior in large maps: it selects candidates by codes and ranks them; PostgreSQL, the only copy that
counts, ranks them again together with the places that Milvus does not have yet. Source of the codes: FastScan, see ``placemap.funnel``.
"""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import grpc
import numpy as np
from pymilvus import DataType, MilvusClient, MilvusException

from vpr_aesvc.errors import VprError, first_line
from vpr_aesvc.fleet import places as rows
from vpr_aesvc.fleet.arrays import horizon_of
from vpr_aesvc.fleet.connection import FleetConnection
from vpr_aesvc.types import Progress

logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # its errors are raised, not logged
# Seconds for a search, and for the work of an update: without limits a wrong parameter makes the client wait forever.
_PATIENCE, _LONG = 1.0, 600.0
_NEW = 20_000  # places that Milvus may lack; with more, PostgreSQL answers alone
_BATCH = 5_000  # places in one request: 5 MB
_INDEXED = 1024  # Milvus compares with every place of a part that has fewer
_INDEX = {"index_type": "SCANN", "metric_type": "IP", "params": {"nlist": 1}}
_RANKED = 200, 1000  # of each part, those with the best codes are compared exactly: least and most


class Candidates(NamedTuple):
    """``ids`` of places; all places from id ``first`` on must be ranked, too."""

    ids: list[int]
    first: int


class MilvusIndex:
    """The index of a fleet's map that its address names (``&index=milvus://HOST:PORT``). Raises VprError if the server cannot be used; a token is in
    ``MILVUS_TOKEN``."""

    def __init__(self, connection: FleetConnection, map_id: int, dim: int) -> None:
        self._connection, self._map, self._dim = connection, map_id, dim
        self._address = address = connection.address.index or ""
        with self._errors():
            token = os.environ.get("MILVUS_TOKEN", "")
            self._client = MilvusClient(address.replace("milvus://", "http://"), token=token, timeout=_PATIENCE)

    def candidates(self, query: np.ndarray, k: int, without: tuple[str, ...]) -> Candidates:
        """For a query, float32 [dim]. ``without``: names of traverses."""
        words = (
            "SELECT i.collection, i.horizon > pg_snapshot_xmin(pg_current_snapshot()), "
            "(SELECT count(*) FROM vpr.tombstones t WHERE t.map = i.map AND t.xid >= i.horizon), "
            "coalesce(sum(c.count), 0)::bigint, coalesce(min(c.first), 9223372036854775807) FROM vpr.indexes i "
            "LEFT JOIN vpr.changes c ON c.map = i.map AND c.xid >= i.horizon AND c.count > 0 "
            "WHERE i.map = %s AND i.address = %s GROUP BY i.map, i.address"
        )
        found = self._connection.all(words, self._map, self._address)
        if not found:
            raise VprError(f"{self._address}: does not have this map yet; `vpr fleet index` brings it there")
        ((collection, is_ahead, removed, new, first),) = found
        if is_ahead:
            raise VprError(
                f"{self._address}: was filled before the database was restored; `vpr fleet index` fills it anew"
            )
        # Removed places take the room of others among the candidates.
        if new > _NEW or k + removed > _RANKED[1]:
            raise VprError(
                f"{self._address}: lacks {new} new places and has {removed} removed ones; `vpr fleet index` brings it up to date"
            )
        words = "SELECT id FROM vpr.traverses WHERE map = %s AND name = ANY(%s)"
        left_out = [one for (one,) in self._connection.all(words, self._map, list(without))] if without else []
        with self._errors():
            (hits,) = self._client.search(
                collection,
                [query],
                filter=f"traverse not in {left_out}" if left_out else "",
                limit=k + removed,
                search_params={"metric_type": "IP", "params": {"nprobe": 1, "reorder_k": max(_RANKED[0], k + removed)}},
                output_fields=["id"],
                consistency_level="Eventually",
                timeout=_PATIENCE,
            )
        return Candidates([int(hit["id"]) for hit in hits], first)

    def update(self, progress: Progress | None = None) -> int:
        """Sends the places that Milvus lacks, in the order of their transactions; returns their number. After an interruption it sends them again.

        Args:
            progress: called with (places sent, places to send).
        """
        with self._errors():
            collection, since = self._collection()
            with self._connection.transaction(reading=True) as db:
                horizon = horizon_of(db)
                if int(since) > horizon:  # the database was restored and counts transactions from the start
                    since = "0"
                query = (
                    "SELECT p.id, p.traverse FROM (SELECT DISTINCT first, last FROM vpr.changes WHERE map = %(map)s AND count > 0 AND "
                    f"xid >= %(since)s::text::xid8) c JOIN vpr.places p ON p.map = {self._map} AND p.id BETWEEN c.first AND c.last "
                    f"WHERE {rows.ALIVE} GROUP BY 1, 2 ORDER BY 1"
                )
                values = {"map": self._map, "since": since}
                new = dict(db.execute(query, values).fetchall())
                query = "SELECT place FROM vpr.tombstones WHERE map = %(map)s AND xid >= %(since)s::text::xid8"
                gone = [one for (one,) in db.execute(query, values)]
            ids = list(new)
            for start in range(0, len(ids), _BATCH):
                part = np.array(ids[start : start + _BATCH])
                with self._connection.transaction(reading=True) as db:
                    for keys, halves, _ in rows.select_batches(db, self._map, part, []):
                        data = [
                            {"id": int(place), "traverse": int(traverse), "descriptor": row}
                            for place, traverse, row in zip(
                                keys["id"], keys["traverse"], halves.astype(np.float32), strict=True
                            )
                        ]
                        self._client.upsert(collection, data, timeout=_LONG)
                if progress:
                    progress(start + len(part), len(ids))
            if gone:
                self._client.delete(collection, ids=gone, timeout=_LONG)
            if new or gone:
                self._client.flush(collection, timeout=_LONG)
                self._wait_for_index(collection)
                # Once this has seen all of them, so does every later search.
                self._client.query(
                    collection,
                    filter=f"id in {ids[-1:]}",
                    consistency_level="Strong",
                    timeout=_LONG,
                    output_fields=["id"],
                )
            query = (
                "UPDATE vpr.indexes SET horizon = %s::text::xid8 WHERE map = %s AND address = %s AND collection = %s"
            )
            with self._connection.transaction() as db:
                done = db.execute(query, [str(horizon), self._map, self._address, collection]).rowcount
            if not done:
                raise VprError(
                    f"{self._address}: another `vpr fleet index` has filled this map anew; run one at a time"
                )
        return len(new)

    def _wait_for_index(self, collection: str) -> None:
        """Until then Milvus answers from an index of its own, which finds too little (measured: .74 of the best places among 20,000)."""
        until = time.monotonic() + _LONG
        while int(self._client.describe_index(collection, "descriptor", timeout=_LONG)["pending_index_rows"]) or any(
            not segment.index_name and segment.num_rows >= _INDEXED
            for segment in self._client.list_loaded_segments(collection, timeout=_LONG)
        ):
            if time.monotonic() > until:
                raise VprError(f"{self._address}: did not build its index within {_LONG:.0f} s; see its log")
            time.sleep(0.2)

    def close(self) -> None:
        self._client.close()

    def _collection(self) -> tuple[str, str]:
        """Its name and horizon; a new, empty one if there is none."""
        query = "SELECT collection, horizon::text FROM vpr.indexes WHERE map = %s AND address = %s"
        for collection, horizon in self._connection.all(query, self._map, self._address):
            if self._client.has_collection(collection, timeout=_LONG):
                return collection, horizon
        name = f"vpr_{self._map}_{uuid.uuid4().hex[:8]}"
        schema = self._client.create_schema(auto_id=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("traverse", DataType.INT64)
        schema.add_field("descriptor", DataType.FLOAT_VECTOR, dim=self._dim)
        index = self._client.prepare_index_params()
        index.add_index("descriptor", **_INDEX)
        self._client.create_collection(name, schema=schema, index_params=index, timeout=_LONG)
        query = (
            "INSERT INTO vpr.indexes VALUES (%s, %s, %s, '0') ON CONFLICT (map, address) DO UPDATE "
            "SET collection = excluded.collection, horizon = excluded.horizon"
        )
        with self._connection.transaction() as db:
            db.execute(query, [self._map, self._address, name])
        return name, "0"

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (MilvusException, grpc.RpcError) as error:
            # Its text has many lines.
            reason = error.details() if isinstance(error, grpc.Call) else first_line(error)
            raise VprError(f"{self._address}: cannot be used ({reason})") from None
