"""What recognition has learned from a map, kept with it: derived from the places, and learned again when it is missing.

Removing places or giving them other poses forgets it (:mod:`changes`); adding places does not: what reads it knows how many places it was
learned from.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap import rows, store


def read(path: Path, db: sqlite3.Connection, name: str) -> Any:
    """The value, as JSON gives it back; None where nothing of that name was kept.

    Raises:
        VprError: it does not match its checksum.
        sqlite3.Error: the file is damaged.
    """
    row = db.execute("SELECT name, value, checksum FROM learned WHERE name = ?", (name,)).fetchone()
    if row is None:
        return None
    if not rows.holds(row[2], rows.learned_checksum, *row[:2]):
        raise VprError(store.damage(path, f"what was learned as {name!r} does not match its checksum"))
    return json.loads(row[1])


def write(db: sqlite3.Connection, name: str, value: Any) -> None:
    """Replaces the value of that name. Only within a transaction."""
    text = json.dumps(value, allow_nan=False)
    db.execute("INSERT OR REPLACE INTO learned VALUES (?, ?, ?)", (name, text, rows.learned_checksum(name, text)))


def forget(db: sqlite3.Connection) -> None:
    """Nothing was learned any more. Only within a transaction."""
    db.execute("DELETE FROM learned")
