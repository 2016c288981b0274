"""Limit how long idle OpenMP threads spin, so that torch stays usable on a busy CPU.

GNU OpenMP, which torch uses on Linux, lets a thread that waits spin 300,000 times before it sleeps.
On a busy CPU each spinning thread takes a core from the thread that it waits for.
"""

import os

SPIN_COUNT = 10_000
"""Costs nothing on a quiet CPU; up to 48 times as fast on a busy one: benchmarks/spinning.py."""
BLOCK_TIME_MS = 1
"""The same limit for the OpenMP of LLVM and Intel (torch on macOS and Windows); 200 by default."""
USER_VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")


def limit_spinning() -> None:
    """Set the limits in the environment, unless the user set any of ``USER_VARIABLES``.

    OpenMP reads the environment when torch is imported; processes started later inherit it.
    """
    if any(name in os.environ for name in USER_VARIABLES):
        return
    os.environ["GOMP_SPINCOUNT"] = str(SPIN_COUNT)
    os.environ["KMP_BLOCKTIME"] = str(BLOCK_TIME_MS)
