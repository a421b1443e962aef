"""The paper's experiments, compared with the authors' figures.

    python benchmarks/paper.py -o OUT --pitts30k DIR --tokyo247 DIR --sop DIR --inshop DIR [--backbones ...]

Omama, Li, Chinchali, ICLR 2025, arXiv 2410.07022. Each run writes a report to OUT/SET-BACKBONE. The last lines compare our mAP@4 with the
authors', read off their plots. Sets that are not given are skipped. The weights come from the local Hugging Face cache.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from set_run import measure

from vpr_aesvc.cli.console import out
from vpr_aesvc.errors import VprError
from vpr_aesvc.evaluation.published import published_beside

SETS = ("pitts30k", "tokyo247", "sop", "inshop")
BACKBONES = ("facebook/dino-vitb16", "google/vit-base-patch16-224-in21k", "facebook/dinov2-large")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="output folder, created if missing")
    for name in SETS:
        parser.add_argument(f"--{name}", type=Path, help=f"folder of {name}")
    parser.add_argument("--backbones", nargs="+", default=list(BACKBONES))
    arguments = parser.parse_args()
    given = [(name, getattr(arguments, name)) for name in SETS if getattr(arguments, name)]
    if not given:
        parser.error("give at least one set, such as --pitts30k DIR")
    arguments.output.mkdir(parents=True, exist_ok=True)
    comparisons = []
    for name, data in given:
        for backbone in arguments.backbones:
            folder = arguments.output / f"{name}-{Path(backbone).name}"
            try:
                run = measure(name, data, backbone, folder)
            except VprError as error:
                sys.exit(f"error: {error}")
            comparisons += [
                (name, backbone, one) for one in published_beside(name, run.protocol, run.evaluation.results)
            ]
    for name, backbone, one in comparisons:
        difference = one.ours - one.theirs
        out.print(
            f"{name:<9} {backbone:<36} {one.what:<32} theirs {one.theirs:.2f}  ours {one.ours:.3f}  {difference:+.3f}"
        )


if __name__ == "__main__":
    main()
