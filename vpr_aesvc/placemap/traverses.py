"""The table ``traverses``: one row for each drive through the environment."""

import math
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap.checksums import matches, row_checksum
from vpr_aesvc.placemap.sqlite_errors import damage_error

COLUMNS = "id, name, started, robot, notes, checksum"


@dataclass(frozen=True)
class Traverse:
    """One drive. ``started`` is in seconds since 1970; ``robot`` and ``notes`` are free text. The first line of the notes names the
    input, the others say how it was understood."""

    id: int
    name: str
    started: float | None = None
    robot: str | None = None
    notes: str | None = None


class Traverses:
    """The traverses of an open map, cached until the file may have changed."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self._path = path
        self._db = db
        self._cached: dict[str, Traverse] = {}
        self._version: int | None = None

    def all(self) -> dict[str, Traverse]:
        """By name, in the order they were started. Raises VprError for a damaged row."""
        version = self._db.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            traverses = {}
            for *columns, checksum in self._db.execute(f"SELECT {COLUMNS} FROM traverses ORDER BY id"):
                if not matches(checksum, row_checksum, *columns):
                    raise damage_error(self._path, f"traverse {columns[0]} does not match its checksum")
                traverses[columns[1]] = Traverse(*columns)
            self._cached, self._version = traverses, version
        return dict(self._cached)

    def ids(self) -> dict[str, int]:
        """Ids by name."""
        return {name: traverse.id for name, traverse in self.all().items()}

    def require_new(self, names: Iterable[str]) -> None:
        """Raises VprError if there is a traverse of one of the names: a run added twice would always match itself."""
        existing = sorted(set(names) & set(self.all()))
        if existing:
            raise VprError(
                f"{self._path}: has a traverse {existing[0]} already; nothing was added, give the new one another name with --traverse"
            )

    def ids_of(self, names: Iterable[str]) -> dict[str, int]:
        """Ids by name; starts the traverses that do not exist. Only within a transaction."""
        for name in dict.fromkeys(names):
            if name not in self.ids():
                self.update(name)
        return self.ids()

    def update(self, name: str, **columns: Any) -> None:
        """Starts a traverse, or sets the columns that are not None of an existing one. Only within a transaction."""
        existing = self.all()
        next_id = max((traverse.id for traverse in existing.values()), default=0) + 1
        old = existing.get(name) or Traverse(next_id, name)
        self._write(replace(old, **{column: value for column, value in columns.items() if value is not None}))

    def set_notes(self, notes: str) -> None:
        """Replaces the notes of all traverses. Only within a transaction."""
        for traverse in self.all().values():
            self._write(replace(traverse, notes=notes))

    def delete_empty(self, ids: Iterable[int]) -> None:
        """Deletes those of the traverses that have no places. Only within a transaction."""
        self.invalidate()
        query = "DELETE FROM traverses WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM places WHERE traverse = ?1)"
        self._db.executemany(query, ((traverse,) for traverse in ids))

    def invalidate(self) -> None:
        """Drops the cache: this connection wrote, or a transaction was rolled back."""
        self._version = None

    def _write(self, traverse: Traverse) -> None:
        self.invalidate()
        for text in (traverse.name, traverse.robot, traverse.notes):
            if text is not None and not isinstance(text, str):
                raise VprError(f"name, robot and notes of a traverse must be text, found {text!r}; nothing was changed")
        started = None if traverse.started is None else float(traverse.started) + 0.0
        if started is not None and not math.isfinite(started):
            raise VprError(f"the start of a traverse must be finite seconds, found {started}; nothing was changed")
        columns = (traverse.id, traverse.name, started, traverse.robot, traverse.notes)
        update = "ON CONFLICT (id) DO UPDATE SET started = ?3, robot = ?4, notes = ?5, checksum = ?6"
        row = (*columns, row_checksum(*columns))
        self._db.execute(f"INSERT INTO traverses VALUES (?1, ?2, ?3, ?4, ?5, ?6) {update}", row)
