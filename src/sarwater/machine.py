"""What this process may use of its machine, and what it has used."""

import math
import os
import sys
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def usable_cores() -> int:
    """Return how many cores this process may keep busy, 1 or more.

    Fewer than the machine has where it is bound to some (``taskset``, Slurm) or in a container
    with a share of them.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(math.ceil(min(cores, _quota())), 1)


def _quota() -> float:
    """Return the cores that Linux's control groups (version 2) grant; infinity without a limit."""
    try:
        lines = _OWN_CGROUP.read_text().splitlines()
    except OSError:
        return math.inf
    own = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    folder = _CGROUPS / own
    granted = math.inf
    for one in (folder, *folder.parents):  # each limits those below it
        try:
            quota, period = (one / "cpu.max").read_text().split()
            granted = min(granted, int(quota) / int(period))
        except (OSError, ValueError):  # no file, or "max"
            continue
    return granted


def peak_memory() -> int | None:
    """Return the most bytes of memory that this process has held; None where nothing says so."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # bytes there, KiB elsewhere
