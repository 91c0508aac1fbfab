"""Commands of the package, run by experiments in processes of their own with one thread."""

import os
import subprocess
import sys
from pathlib import Path


def sarwater(*arguments: object, log: Path, out: Path | None = None) -> None:
    """Run a command.

    Args:
        arguments: of the command line.
        log: where warnings and progress go.
        out: where what it prints goes.

    Raises:
        SystemExit: it failed.
    """
    line = [sys.executable, "-m", "sarwater", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with log.open("w") as errors:
        done = subprocess.run(
            line, stdout=subprocess.PIPE, stderr=errors, env=environment, text=True, check=False
        )
    if done.returncode:
        raise SystemExit(f"{' '.join(line)} failed: see {log}")
    if out is not None:
        out.write_text(done.stdout)
