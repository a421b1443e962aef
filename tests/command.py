"""The `vpr` command as a process, for tests."""

import os
import subprocess
import sys

VPR = [sys.executable, "-c", "from vpr_aesvc.cli.main import main; main()"]


def vpr(*words, cwd=None):
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run(
        [*VPR, *map(str, words)], capture_output=True, text=True, check=False, cwd=cwd, env=environment, timeout=900
    )


def refused(done, words, code=1):
    """Exit code, exactly one line that starts with `error:`, and no traceback."""
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1 and words in errors[0], done.stderr
