"""Tokyo 24/7: every method at every size; by time of day; cutouts alone and collapsed by panorama.

    python benchmarks/tokyo247.py DATA -o OUT [--backbone facebook/dino-vitb16]

`vpr data check tokyo247 --data DATA` lists the folders that DATA must have. OUT gets results.json, results.csv, figures and report.html.
"""

from set_run import run_set

if __name__ == "__main__":
    run_set("tokyo247", __doc__)
