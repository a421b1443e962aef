"""Structure from motion by COLMAP with the pairs of ``vpr pairs`` beside all pairs: points, images registered, time.

    python benchmarks/colmap_pairs.py IMAGES --backbone ENCODER --top 5 10 20

Needs ``pip install pycolmap``. Key points are extracted once; matching and mapping are timed for each list of pairs, on one thread.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import tempfile
import time
from pathlib import Path

import pycolmap

from vpr_aesvc import PlaceMap, build_map, open_backbone, open_input, train
from vpr_aesvc.interop.hloc import find_pairs
from vpr_aesvc.replay.recognize import described

_KEY_POINTS = 2000  # of an image


def reconstruct(
    features: Path, images: Path, pairs: list[tuple[str, str]], work: Path
) -> tuple[float, float, pycolmap.Reconstruction]:
    """Seconds of matching and of mapping, and the largest reconstruction, which is empty where none can be begun."""
    work.mkdir()
    database, listed = work / "database.db", work / "pairs.txt"
    shutil.copy(features, database)
    listed.write_text("".join(f"{one} {two}\n" for one, two in pairs))
    start = time.perf_counter()
    matching = pycolmap.FeatureMatchingOptions(use_gpu=False, num_threads=1)
    pycolmap.match_image_pairs(
        database, matching_options=matching, pairing_options=pycolmap.ImportedPairingOptions(match_list_path=listed)
    )
    matched = time.perf_counter()
    options = pycolmap.IncrementalPipelineOptions(num_threads=1, random_seed=0)
    options.mapper.init_max_forward_motion = 1.0  # a car drives forward
    options.mapper.init_min_tri_angle = 4.0
    models = pycolmap.incremental_mapping(database, images, work, options)
    return (
        matched - start,
        time.perf_counter() - matched,
        max([pycolmap.Reconstruction(), *models.values()], key=lambda one: one.num_reg_images()),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--top", type=int, nargs="+", default=[5, 10, 20])
    parser.add_argument("--window", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        source = open_input(given.images)
        start = time.perf_counter()
        describer = train(source, open_backbone(given.backbone, threads=1), work / "model", method="aesvc")
        build_map(source, describer, work / "map.vprmap")
        print(f"model and map: {time.perf_counter() - start:.1f} s")
        start = time.perf_counter()
        extraction = pycolmap.FeatureExtractionOptions(use_gpu=False, num_threads=1)
        extraction.sift.max_num_features = _KEY_POINTS
        pycolmap.extract_features(
            work / "features.db", given.images, camera_mode=pycolmap.CameraMode.SINGLE, extraction_options=extraction
        )
        print(f"key points: {time.perf_counter() - start:.1f} s")
        lists = {}
        with PlaceMap.open(work / "map.vprmap") as place_map:
            queries = list(described(source, describer))
            for top in given.top:
                lists[f"top {top}, window {given.window}"] = find_pairs(
                    place_map, queries, top, given.window, given.images
                ).names
        names = [frame.path.relative_to(given.images).as_posix() for frame, _ in queries]
        lists["all pairs"] = list(itertools.combinations(names, 2))
        print("| pairs | number | matching, s | mapping, s | images registered | points | reprojection error, pixels |")
        print("|---|---|---|---|---|---|---|")
        for number, (name, pairs) in enumerate(lists.items()):
            matching, mapping, model = reconstruct(work / "features.db", given.images, pairs, work / str(number))
            registered = f"{model.num_reg_images()} of {len(names)}"
            error = model.compute_mean_reprojection_error()
            print(
                f"| {name} | {len(pairs)} | {matching:.0f} | {mapping:.0f} | {registered} | {model.num_points3D()} | {error:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
