"""The traverses of a map: one row for each drive through the environment."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap import rows, store


@dataclass(frozen=True)
class Traverse:
    """One drive. ``started`` is in seconds since 1970; ``robot`` and ``notes`` are the user's words."""

    id: int
    name: str
    started: float | None = None
    robot: str | None = None
    notes: str | None = None


class Traverses:
    """The table of an open map, read again only when it may have changed."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._db = connection
        self._cached: dict[str, Traverse] = {}
        self._version: int | None = None

    def all(self) -> dict[str, Traverse]:
        """By name, in the order they began.

        Raises:
            VprError: one is damaged.
            sqlite3.Error: the file is.
        """
        version = self._db.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            found = {}
            for row in self._db.execute("SELECT id, name, started, robot, notes, checksum FROM traverses ORDER BY id"):
                if not rows.holds(row[5], rows.traverse_checksum, *row[:5]):
                    raise VprError(store.damage(self._path, f"traverse {row[0]} does not match its checksum"))
                found[row[1]] = Traverse(*row[:5])
            self._cached, self._version = found, version
        return dict(self._cached)

    def by_name(self) -> dict[str, int]:
        """Ids by name."""
        return {name: traverse.id for name, traverse in self.all().items()}

    def ids(self, names: Iterable[str]) -> dict[str, int]:
        """Ids by name, of traverses that are there or are begun now. Only within a transaction."""
        known = self.by_name()
        for name in names:
            if name not in known:
                known[name] = self._write(Traverse(max(known.values(), default=0) + 1, name))
        return known

    def describe(self, name: str, started: float | None, robot: str | None, notes: str | None) -> None:
        """Begins a traverse, or sets what is not None of one that is there. Only within a transaction."""
        known = self.all()
        old = known.get(name) or Traverse(max((one.id for one in known.values()), default=0) + 1, name)
        self._write(
            Traverse(
                old.id,
                name,
                old.started if started is None else float(started),
                old.robot if robot is None else robot,
                old.notes if notes is None else notes,
            )
        )

    def drop_empty(self, ids: Iterable[int]) -> None:
        """Removes those of the traverses that have no place any more. Only within a transaction."""
        self.forget()
        self._db.executemany(
            "DELETE FROM traverses WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM places WHERE traverse = ?1)",
            ((number,) for number in ids),
        )

    def forget(self) -> None:
        """What was read may have changed by this connection, or a transaction was undone."""
        self._version = None

    def _write(self, traverse: Traverse) -> int:
        self.forget()
        for words in (traverse.name, traverse.robot, traverse.notes):
            if words is not None and not isinstance(words, str):
                raise VprError(
                    f"the name, robot and notes of a traverse must be text, found {words!r}; nothing was changed"
                )
        started = None if traverse.started is None else float(traverse.started) + 0.0
        if started is not None and not math.isfinite(started):
            raise VprError(f"a traverse starts at a finite number of seconds, found {started}; nothing was changed")
        row = (traverse.id, traverse.name, started, traverse.robot, traverse.notes)
        self._db.execute(
            "INSERT INTO traverses VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO UPDATE SET "
            "started = ?3, robot = ?4, notes = ?5, checksum = ?6",
            (*row, rows.traverse_checksum(*row)),
        )
        return traverse.id
