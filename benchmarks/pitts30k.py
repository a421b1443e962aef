"""Pitts30k (test): every method at every size.

    python benchmarks/pitts30k.py DATA -o OUT [--backbone facebook/dino-vitb16]

`vpr data check pitts30k --data DATA` lists the folders that DATA must have. OUT gets results.json, results.csv, figures and report.html.
"""

from set_run import run_set

if __name__ == "__main__":
    run_set("pitts30k", __doc__)
