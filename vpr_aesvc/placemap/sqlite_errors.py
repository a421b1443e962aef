"""SQLite's exceptions as ``VprError``: what happened to the map, and what to do."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vpr_aesvc.errors import VprError

BUSY_SECONDS = 10.0  # a writer waits so long for another writer
DAMAGED = (sqlite3.DatabaseError, OverflowError, UnicodeDecodeError)  # what sqlite3 raises for damaged files
_BUSY = f"another process has been writing for {BUSY_SECONDS:.0f} s; nothing was changed, try again later"
# Part of the message of an OperationalError -> what to say.
_OPERATIONAL = {
    "locked": _BUSY,
    "busy": _BUSY,
    "disk is full": "the disk is full; nothing was changed, free some space and try again",
    "readonly": "the map is read-only here; make the file and its folder writable, or copy the map with `vpr map backup`",
    "disk I/O error": "the disk reported an error ({name}); nothing was changed, check the disk and its free space",
}


def damage_error(path: Path | str, problem: object) -> VprError:
    """The error for a map that was changed outside this library."""
    advice = "`vpr map check` lists the damage, `vpr map salvage` saves the intact places"
    return VprError(f"{path}: the map is damaged ({problem}); {advice}")


@contextmanager
def vpr_errors(path: Path) -> Iterator[None]:
    """Raises SQLite's errors of the block as VprError."""
    try:
        yield
    except sqlite3.OperationalError as error:
        what = next((what for part, what in _OPERATIONAL.items() if part in str(error)), None)
        if what is None:
            raise damage_error(path, error) from error
        name = getattr(error, "sqlite_errorname", "") or error  # the name exists from Python 3.11 on
        raise VprError(f"{path}: {what.format(name=name)}") from error
    except sqlite3.ProgrammingError as error:
        raise VprError(f"{path}: the map is closed; open it again") from error
    except DAMAGED as error:
        raise damage_error(path, error) from error
