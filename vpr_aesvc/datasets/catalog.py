"""The published benchmark sets by name: contents, how to get each, and how to open it in its known folder layouts."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vpr_aesvc.datasets.dbstruct import read_dbstruct
from vpr_aesvc.datasets.folder import read_folder
from vpr_aesvc.datasets.frames_csv import read_frames_csv
from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.datasets.netvlad_layouts import in_two_layouts, with_times_and_panoramas
from vpr_aesvc.datasets.split_folders import read_pairs, read_utm_folders, split_folders
from vpr_aesvc.errors import VprError


@dataclass(frozen=True)
class Benchmark:
    """A published set. A database image within 25 m is a right answer.

    Attributes:
        database, queries: number of images.
        url: its description.
        layouts: the files and folders that are looked for below the root, one entry for each layout.
        read: opens it below a root; None if no layout is there.
    """

    name: str
    title: str
    database: int
    queries: int
    url: str
    layouts: tuple[str, ...]
    read: Callable[[Path], FrameSet | None]

    def open(self, root: Path) -> FrameSet:
        """The test split: database, then queries.

        Raises:
            VprError: the set is missing or damaged, or the folder holds another set.
        """
        for folder in (root, root / self.name):
            found = self.read(folder) if folder.exists() else None
            if found is not None:
                return found
        raise VprError(f"{root}: {'no such folder' if not root.exists() else 'does not hold this set'}. {self.how}")

    @property
    def how(self) -> str:
        """The expected files and the description, for messages."""
        return f"{self.title} needs {'; or '.join(self.layouts)}. docs/benchmark.md tells how to get it, {self.url} describes it"


def open_dataset(name_or_path: str, data: Path | None = None) -> FrameSet:
    """The frames of a named set with root folder ``data``, or of the user's own data at a path. Only the test split is read.

    Frames have the split ``database`` or ``query``. Pitts30k and Tokyo 24/7 have the same labels in the same order in both of their layouts.
    Image files are not opened; ``check_dataset`` looks for them.

    Raises:
        VprError: the set is missing, damaged or another one, or the path holds no known layout.
    """
    benchmark = BENCHMARKS.get(name_or_path)
    if benchmark is None:
        if data is not None:
            raise VprError(f"{name_or_path}: no such set; choose one of {', '.join(BENCHMARKS)}, or give a path alone")
        return open_own(Path(name_or_path).expanduser())
    if data is None:
        raise VprError(f"{name_or_path}: say where it is, with --data FOLDER. {benchmark.how}")
    return benchmark.open(data.expanduser())


def open_own(path: Path) -> FrameSet:
    """The frames of the user's own data, in any known layout.

    Raises:
        VprError: no known layout.
    """
    if not path.exists():
        raise VprError(f"{path}: no such file or folder, and no such set; the sets are {', '.join(BENCHMARKS)}")
    found = with_splits(path)
    if found is not None:
        return found
    if path.is_dir() and split_folders(path) is None:  # one folder of UTM names: each image is a query among the others
        try:
            alone = read_folder(path)
        except VprError:
            alone = None
        if alone is not None and alone.tolerance is not None:
            return alone
    raise VprError(
        f"{path}: expected a frames.csv, one dbStruct .mat, database and queries (UTM in the names), or query and ref (equal "
        f"names); found {_found(path)}"
    )


def with_splits(path: Path) -> FrameSet | None:
    """The frames of a folder or file that tells database and queries apart; None if it does not.

    Raises:
        VprError: it does, but is damaged.
    """
    if path.suffix.lower() == ".mat":
        return read_dbstruct(path)
    if path.suffix.lower() == ".csv":
        return read_frames_csv(path)
    if not path.is_dir():
        return None
    if (path / "frames.csv").is_file():
        return read_frames_csv(path / "frames.csv")
    found = read_pairs(path) or read_utm_folders(path)  # in this order: pairs ignores UTM names
    structs = sorted(path.glob("*.mat"))
    return read_dbstruct(structs[0]) if found is None and len(structs) == 1 else found


def _tokyo(root: Path) -> FrameSet | None:
    frames = _read_tokyo(root)
    return None if frames is None else with_times_and_panoramas(frames, root if root.is_dir() else root.parent)


def _found(path: Path) -> str:
    if path.is_file():
        return f"a {path.suffix or 'suffixless'} file"
    names = sorted(entry.name for entry in path.iterdir())
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "") or "nothing"


_PITTS, _TOKYO = (10_000, 6_816), (75_984, 315)
_read_tokyo = in_two_layouts("Tokyo 24/7", "tokyo247*.mat", _TOKYO)
_RENAMED = "images/test/database and images/test/queries (as VPR-datasets-downloader makes them)"

BENCHMARKS: dict[str, Benchmark] = {
    one.name: one
    for one in (
        Benchmark(
            "pitts30k",
            "Pitts30k (test)",
            *_PITTS,
            "https://www.di.ens.fr/willow/research/netvlad/",
            ("datasets/pitts30k_test.mat, the folders 000 to 006 and queries_real (as published)", _RENAMED),
            in_two_layouts("Pitts30k (test)", "pitts30k_test*.mat", _PITTS),
        ),
        Benchmark(
            "tokyo247",
            "Tokyo 24/7",
            *_TOKYO,
            "http://www.ok.ctrl.titech.ac.jp/~torii/project/247/",
            (
                "tokyo247.mat (in datasets or not), the folders 03814 to 03829 (in tokyo247, images or not) and "
                "247query_subset_v2 (as published)",
                _RENAMED,
            ),
            _tokyo,
        ),
    )
}
