"""Peak memory of a command, apart from that of the process which starts it."""

import sys
from collections.abc import Sequence

_BETWEEN = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""
_BYTES_A_UNIT = 1 if sys.platform == "darwin" else 1024


def watched_line(line: Sequence[str]) -> list[str]:
    """Return the command line that runs `line`, silent itself, and ends with its peak memory.

    The peak of a process begins with that of the one which started it, so a small one stands
    between.
    """
    return [sys.executable, "-c", _BETWEEN, *line]


def told_mb(stdout: str) -> float:
    """Return the peak resident memory that a watched command line wrote, MB."""
    return int(stdout.splitlines()[-1]) * _BYTES_A_UNIT / 1e6
