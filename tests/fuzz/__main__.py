"""Reads damaged inputs with every reader of the library.

    python -m tests.fuzz --inputs 100000 --workers 2
    python -m tests.fuzz --reader onnx --seed 1234 --count 1 --keep FOLDER

The second one reads one input again, and keeps its files. Linux only: memory is read from /proc.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.fuzz.campaign import Campaign
from tests.fuzz.readers import READERS
from tests.fuzz.worker import Inputs


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reader", action="append", choices=[reader.name for reader in READERS])
    parser.add_argument("--seed", type=int, default=0, help="of the first input")
    parser.add_argument("--inputs", "--count", type=int, default=10_000)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="write the files of the first input into this new folder")
    args = parser.parse_args()
    readers = [reader for reader in READERS if args.reader is None or reader.name in args.reader]
    if args.keep:
        args.keep.mkdir()
        print("damaged:", Inputs(args.keep).write(readers[0], args.seed))
    campaign = Campaign(readers, args.inputs, args.seconds, args.seed, args.workers)
    campaign.run()
    for finding in campaign.findings:
        print(finding, "\n")
    print(campaign.table())
    return bool(campaign.findings)


if __name__ == "__main__":
    sys.exit(main())
