"""One connection to the server, opened again after it was lost; the tables, made by numbered SQL files; and psycopg's errors as VprError."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from pgvector import HalfVector
from pgvector.psycopg.halfvec import HalfVectorBinaryDumper
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from vpr_aesvc.errors import VprError
from vpr_aesvc.fleet.address import FleetAddress

MIGRATIONS = sorted((Path(__file__).parent / "migrations").glob("[0-9]*.sql"))
"""Applied in the order of their numbers, each once."""
_DEFAULTS = {  # a dead server is noticed in half a minute
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "4",
    "tcp_user_timeout": "30000",
    "application_name": "vpr_aesvc",
}
_LOCK = 0x5650524D  # "VPRM": two robots do not make the tables at once
Db = Any
"""A psycopg.Connection, whose types refuse queries that are put together."""


class FleetConnection:
    """The threads of a process may share one. After an error in a transaction nothing of it is stored."""

    def __init__(self, address: FleetAddress) -> None:
        self.address = address
        self.lock = threading.RLock()
        self._db: Db | None = None
        self._closed = False

    @contextmanager
    def transaction(self, reading: bool = False) -> Iterator[Db]:
        """All statements of the block, or none. ``reading``: all of them see one state of the database."""
        with self.lock, _vpr_errors(self.address):
            db = self._opened()
            if not db.pgconn.transaction_status:  # else within another block, as its part
                db.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ if reading else None
            with db.transaction():
                yield db

    @contextmanager
    def statements(self) -> Iterator[Db]:
        """Each statement of the block by itself, which saves two round trips."""
        with self.lock, _vpr_errors(self.address):
            yield self._opened()

    def all(self, query: str, *values: object) -> list[Any]:
        """All rows of a query."""
        with self.statements() as db:
            return db.cursor(binary=True).execute(query, values).fetchall()  # type: ignore[no-any-return]

    def close(self) -> None:
        with self.lock:
            self._closed = True
            if self._db is not None:
                self._db.close()

    def migrate(self) -> None:
        """Makes the tables, or brings them up to date."""
        with self.transaction() as db:
            db.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            version = self._version(db)
            if version is None:
                db.execute("CREATE SCHEMA IF NOT EXISTS vpr")
                db.execute(
                    "CREATE TABLE vpr.migrations (number integer PRIMARY KEY, applied timestamptz DEFAULT now())"
                )
            for file in MIGRATIONS[version or 0 :]:
                db.execute(file.read_text())
                db.execute("INSERT INTO vpr.migrations (number) VALUES (%s)", [int(file.name[:3])])

    def require_tables(self) -> None:
        """Raises VprError unless the tables are those of this vpr_aesvc."""
        with self.transaction(reading=True) as db:
            version = self._version(db)
        if version is None:
            raise VprError(f"{self.address.text}: this database holds no maps yet; `vpr fleet push` makes the first")
        if version != len(MIGRATIONS):
            raise VprError(
                f"{self.address.text}: its tables have version {version}, this vpr_aesvc uses {len(MIGRATIONS)}; "
                "`vpr fleet push` of the newer one, by the owner of the tables, updates them"
            )

    def families(self) -> dict[str, tuple[int, dict[str, str]]]:
        """The maps of the address's name by model family: number and metadata."""
        with self.transaction(reading=True) as db:
            query = "SELECT family, id, meta FROM vpr.maps WHERE name = %s ORDER BY id"
            return {row[0]: row[1:] for row in db.execute(query, [self.address.map])}

    def _version(self, db: Db) -> int | None:
        if db.execute("SELECT to_regclass('vpr.migrations')").fetchone()[0] is None:
            return None
        return db.execute("SELECT coalesce(max(number), 0) FROM vpr.migrations").fetchone()[0]  # type: ignore[no-any-return]

    def _opened(self) -> Db:
        if self._closed:
            raise VprError(f"{self.address.text}: the map is closed; open it again")
        if self._db is None or self._db.closed:
            given: dict[str, Any] = {**_DEFAULTS, **conninfo_to_dict(self.address.conninfo)}
            # prepare_threshold: a pooler such as PgBouncer passes statements of one session to several servers.
            self._db = psycopg.connect(autocommit=True, prepare_threshold=None, **given)
            self._db.adapters.register_dumper(HalfVector, HalfVectorBinaryDumper)
        return self._db


@contextmanager
def _vpr_errors(address: FleetAddress) -> Iterator[None]:
    try:  # from None: a traceback of psycopg's may hold the password
        yield
    except errors.InsufficientPrivilege as error:
        raise VprError(
            f"{address.text}: this role may not do that ({address.words(error)}); nothing was changed"
        ) from None
    except psycopg.OperationalError as error:
        raise VprError(
            f"{address.text}: cannot be reached ({address.words(error)}); what was acknowledged is stored, try again later"
        ) from None
    except psycopg.Error as error:
        raise VprError(f"{address.text}: the server refuses ({address.words(error)}); nothing was changed") from None
