"""The table ``learned``: parameters that recognition fitted to the map, as named JSON values.

They are derived from the places and can be fitted again. Removing places or changing poses deletes them (:mod:`writes`). Adding
places does not: the reader stores with them how many places they were fitted to.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

from vpr_aesvc.placemap.checksums import matches, row_checksum
from vpr_aesvc.placemap.sqlite_errors import damage_error


def read_parameters(path: Path, db: sqlite3.Connection, name: str) -> Any:
    """The JSON value; None if there is none of that name. Raises VprError if it does not match its checksum."""
    row = db.execute("SELECT name, value, checksum FROM learned WHERE name = ?", (name,)).fetchone()
    if row is None:
        return None
    if not matches(row[2], row_checksum, *row[:2]):
        raise damage_error(path, f"the learned parameters {name!r} do not match their checksum")
    return json.loads(row[1])


def write_parameters(db: sqlite3.Connection, name: str, value: Any) -> None:
    """Replaces the value of that name. Only within a transaction."""
    text = json.dumps(value, allow_nan=False)
    db.execute("INSERT OR REPLACE INTO learned VALUES (?, ?, ?)", (name, text, row_checksum(name, text)))


def delete_parameters(db: sqlite3.Connection) -> None:
    """Deletes all. Only within a transaction."""
    db.execute("DELETE FROM learned")
