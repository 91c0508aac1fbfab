"""Which of several processes this is, before they have met."""

import os


def is_first_process() -> bool:
    """Whether this is the first process of torchrun, Lightning or SLURM, or the only one."""
    names = ("LOCAL_RANK", "SLURM_PROCID", "RANK", "NODE_RANK", "GROUP_RANK")
    return all(os.environ.get(name, "0") == "0" for name in names)
