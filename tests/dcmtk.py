"""Programs of dcmtk, not those of the same names that pynetdicom lays beside Python."""

import os
import shutil
import sys
from pathlib import Path

import pytest


def program(name: str) -> str | None:
    """Return the path of a program of dcmtk, None where it is not installed."""
    beside_python = Path(sys.executable).parent.resolve()
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    elsewhere = [folder for folder in folders if Path(folder).resolve() != beside_python]
    return shutil.which(name, path=os.pathsep.join(elsewhere))


STORESCU, ECHOSCU = program("storescu"), program("echoscu")
needs_dcmtk = pytest.mark.skipif(
    STORESCU is None or ECHOSCU is None, reason="no storescu and echoscu (Debian: dcmtk)"
)
