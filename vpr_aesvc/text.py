"""Text that people and programs write: with or without a byte order mark, and with any separator between numbers."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from vpr_aesvc.errors import VprError

_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?")


def read_text(path: Path) -> str:
    """A file in UTF-8, or in UTF-16 if it has the mark for that. Raises VprError: it cannot be read, or is no such text."""
    try:
        data = path.read_bytes()
        return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise VprError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error


def csv_text(rows: Sequence[Mapping[str, object]]) -> str:
    """A CSV table of rows that have the same columns; None is empty."""
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def words_of(line: str) -> list[str]:
    """What semicolons, commas, tabs and spaces separate, in any mixture."""
    return line.replace(",", " ").replace(";", " ").split()


def fields_of(line: str) -> list[str]:
    """The fields of a line of CSV, some of which may be empty; words where there are only spaces."""
    separator = next((one for one in ";,\t" if one in line), None)
    return line.split() if separator is None else [field.strip(' "') for field in line.split(separator)]


def hint(line: str) -> str:
    """For the message about a line that cannot be read: what is wrong if its numbers have decimal commas."""
    apart = re.split(r"[;\s]+", line)
    has_commas = len(apart) > 1 and any(_DECIMAL_COMMA.fullmatch(word) for word in apart)
    return "; write numbers with a decimal point, not a decimal comma" if has_commas else ""
