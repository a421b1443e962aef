"""Check that a data set is complete, before hours of computing: counts, files, right answers."""

from collections import Counter
from pathlib import Path

from vpr_aesvc.datasets.catalog import BENCHMARKS, open_dataset
from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.datasets.positives import positives

Findings = dict[str, list[str]]
"""What was found -> the files or queries that it is about."""


def check_dataset(name_or_path: str, data: Path | None = None) -> tuple[FrameSet, Findings, Findings]:
    """Opens a set (see ``open_dataset``) and looks at every file. No image is decoded.

    Returns:
        the set; what is wrong, empty if it is complete; what is worth knowing but not wrong.

    Raises:
        VprError: the set is missing or damaged, or has no database or no queries.
    """
    frames = open_dataset(name_or_path, data)
    benchmark = BENCHMARKS.get(name_or_path)
    database, queries = frames.split("database").frames, frames.split("query").frames
    sizes = {path: _size(path) for path in {frame.path: None for frame in frames.frames} if path is not None}
    missing = [str(path) for path, size in sizes.items() if size is None]
    empty = [str(path) for path, size in sizes.items() if size == 0]
    right = positives(queries, database, frames.tolerance)
    without = [] if right is None else [q.label for q, n in zip(queries, right.counts, strict=True) if not n]
    problems: Findings = {}
    notes: Findings = {}
    if benchmark and len(database) != benchmark.database:
        problems[f"{benchmark.database} database images expected, {len(database)} found"] = []
    if benchmark and len(queries) != benchmark.queries:
        problems[f"{benchmark.queries} queries expected, {len(queries)} found"] = []
    if missing:
        hint = f"; {benchmark.how}" if benchmark and len(missing) == len(sizes) else ""
        problems[f"{len(missing)} image files are missing{hint}"] = missing
    if empty:
        problems[f"{len(empty)} image files are empty (0 bytes)"] = empty
    if right is None:
        problems["no right answers: the frames have no poses, no sequences and no categories"] = []
    if without:
        # In a published set each query has a right answer; the user's own drive may leave the map.
        where = problems if benchmark else notes
        where[f"{len(without)} of {len(queries)} queries have no right answer in the database"] = without
    if frames.has_times_and_panoramas:
        times = Counter(frame.extra.get("time", "unknown") for frame in queries)
        line = "queries by " + ", ".join(f"{time}: {count}" for time, count in sorted(times.items()))
        if times["unknown"]:
            line += "; the .csv files of the published folder 247query_subset_v2 tell it: put it into the root"
        notes[line] = []
    return frames, problems, notes


def _size(path: Path) -> int | None:
    """Bytes; None for a missing file."""
    try:
        return path.stat().st_size if path.is_file() else None
    except OSError:  # no permission for the folder
        return None
