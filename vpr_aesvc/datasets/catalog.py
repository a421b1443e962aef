"""The named benchmark sets: contents, description, and how to open each in its known folder layouts."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vpr_aesvc.datasets.dbstruct import read_dbstruct
from vpr_aesvc.datasets.folder import read_folder
from vpr_aesvc.datasets.frames_csv import read_frames_csv
from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.datasets.labeled import CATEGORY, IN_SHOP_LISTS, SOP_LISTS, read_in_shop, read_sop
from vpr_aesvc.datasets.netvlad_layouts import Area, in_two_layouts, with_times_and_panoramas
from vpr_aesvc.datasets.positives import METERS, Tolerance
from vpr_aesvc.datasets.split_folders import pair_folders, read_pairs, read_utm_folders, split_folders, utm_folders
from vpr_aesvc.errors import VprError


@dataclass(frozen=True)
class Benchmark:
    """A set by name.

    Attributes:
        database, queries: number of images; None for a layout of the user's own data.
        tolerance: when a database image is a right answer; None if the frames tell.
        url: its description; None for this project's own layout.
        layouts: the files and folders that are looked for below the root, one entry for each layout.
        read: opens it below a root; None if no layout is there.
        categories: number of categories, if right answers go by category.
    """

    name: str
    title: str
    database: int | None
    queries: int | None
    tolerance: Tolerance | None
    url: str | None
    layouts: tuple[str, ...]
    read: Callable[[Path], FrameSet | None]
    categories: int | None = None

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
        description = f". It is described at {self.url}" if self.url else ""
        return f"{self.title} needs {'; or '.join(self.layouts)}{description}"


def open_dataset(name_or_path: str, data: Path | None = None) -> FrameSet:
    """The frames of a named set with root folder ``data``, or of the user's own data at a path. Only the test split is read.

    Frames have the split ``database`` or ``query``; in Stanford Online Products none, because each is both. Pitts30k and Tokyo 24/7 have
    the same labels in the same order in both of their layouts. Image files are not opened; ``check_dataset`` looks for them.

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
        f"{path}: expected a frames.csv, one dbStruct .mat, database and queries (UTM in the names), query and ref (equal "
        f"names), Ebay_test.txt or Eval/list_eval_partition.txt; found {_found(path)}"
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
    for name in ("frames", "sop", "inshop", "pairs", "utm"):  # before utm: pairs ignores UTM names
        found = BENCHMARKS[name].read(path)
        if found is not None:
            return found
    structs = sorted(path.glob("*.mat"))
    return read_dbstruct(structs[0]) if len(structs) == 1 else None


def _tokyo(root: Path) -> FrameSet | None:
    frames = _read_tokyo(root)
    return None if frames is None else with_times_and_panoramas(frames, root if root.is_dir() else root.parent)


def _listed(lists: tuple[str, ...], folder: str, read: Callable[[Path], FrameSet]) -> Callable[[Path], FrameSet | None]:
    def open_list(root: Path) -> FrameSet | None:
        tables = [base / name for base in (root, root / folder) for name in lists]
        return next((read(table) for table in tables if table.is_file()), None)

    return open_list


def _own_frames(root: Path) -> FrameSet | None:
    table = root if root.suffix.lower() == ".csv" else root / "frames.csv"
    return read_frames_csv(table) if table.is_file() else None


def _found(path: Path) -> str:
    if path.is_file():
        return f"a {path.suffix or 'suffixless'} file"
    names = sorted(entry.name for entry in path.iterdir())
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "") or "nothing"


_PITTS, _TOKYO = (10_000, 6_816), (75_984, 315)
_read_tokyo = in_two_layouts("Tokyo 24/7", "tokyo247*.mat", Area(370_000, 395_000, 3_935_000, 3_960_000), _TOKYO)
_RENAMED = "images/test/database and images/test/queries (as VPR-datasets-downloader makes them)"

BENCHMARKS: dict[str, Benchmark] = {
    one.name: one
    for one in (
        Benchmark(
            "pitts30k",
            "Pitts30k (test)",
            *_PITTS,
            METERS,
            "https://www.di.ens.fr/willow/research/netvlad/",
            ("datasets/pitts30k_test.mat, the folders 000 to 006 and queries_real (as published)", _RENAMED),
            in_two_layouts(
                "Pitts30k (test)", "pitts30k_test*.mat", Area(570_000, 600_000, 4_460_000, 4_495_000), _PITTS
            ),
        ),
        Benchmark(
            "tokyo247",
            "Tokyo 24/7",
            *_TOKYO,
            METERS,
            "http://www.ok.ctrl.titech.ac.jp/~torii/project/247/",
            (
                "tokyo247.mat (in datasets or not), the folders 03814 to 03829 (in tokyo247, images or not) and "
                "247query_subset_v2 (as published)",
                _RENAMED,
            ),
            _tokyo,
        ),
        Benchmark(
            "sop",
            "Stanford Online Products (test)",
            60_502,
            60_502,
            CATEGORY,
            "https://cvgl.stanford.edu/projects/lifted_struct/",
            ("Ebay_test.txt and the folders bicycle_final to toaster_final",),
            _listed(SOP_LISTS, "Stanford_Online_Products", read_sop),
            categories=11_316,
        ),
        Benchmark(
            "inshop",
            "In-Shop Clothes Retrieval (DeepFashion)",
            12_612,
            14_218,
            CATEGORY,
            "https://mmlab.ie.cuhk.edu.hk/projects/DeepFashion/InShopRetrieval.html",
            ("Eval/list_eval_partition.txt and the folder img (or Img/img)",),
            _listed(IN_SHOP_LISTS, "In-shop Clothes Retrieval Benchmark", read_in_shop),
        ),
        Benchmark(
            "pairs",
            "Aligned pairs (Nordland, SPED and others)",
            None,
            None,
            Tolerance("frames", 0),
            "https://github.com/MubarizZaffar/VPR-Bench",
            ("the folders query and ref, with images of equal names",),
            lambda root: read_pairs(root) if pair_folders(root) else None,
        ),
        Benchmark(
            "utm",
            "Folders with UTM in the names",
            None,
            None,
            METERS,
            "https://github.com/gmberton/VPR-datasets-downloader",
            ("images/test/database and images/test/queries", "database and queries"),
            lambda root: read_utm_folders(root) if utm_folders(root) else None,
        ),
        Benchmark(
            "frames",
            "A frames.csv",
            None,
            None,
            None,
            None,
            ("frames.csv with the columns path and split",),
            _own_frames,
        ),
    )
}
