"""Where the pixels of a truth, boxes or nodes file lie."""

import os
from pathlib import Path

from lnmdetect.core.columns import CocoColumns
from lnmdetect.core.errors import InputError
from lnmdetect.core.records import CocoDataset
from lnmdetect.core.ultrasound import UltrasoundDataset
from lnmdetect.io.input_files import require_text


def scan_root(
    data: Path, dataset: CocoDataset | CocoColumns | UltrasoundDataset, scan: Path | None
) -> Path:
    """Return where a file's pixels lie: `scan` if given, else its `info.scan_root`.

    Raises:
        InputError: nothing is there, or the file, of keyed uids, names no place.
    """
    if scan is None and dataset.info.get("pseudonymised_uids"):
        raise InputError(
            f"{data.name}: info.scan_root",
            expected="the place of the pixels",
            got="none, as --pseudonymise-uids leaves it out",
            remedy="Name the place with --scan.",
        )
    root = scan if scan is not None else data.parent / str(dataset.info.get("scan_root", "."))
    if not root.exists():
        raise InputError(
            "--scan" if scan is not None else f"{data.name}: info.scan_root",
            expected="a folder, a file or a .zip archive with the pixels",
            got="a path at which there is none",
            remedy="Name the scans' place with --scan; a moved file no longer points to them.",
        )
    return root


def relative_root(root: Path, output: Path) -> str:
    """Return `root` relative to the folder of the JSON file `output`, with forward slashes.

    Raises:
        InputError: a folder on the way has a name that is no text.
    """
    way = Path(os.path.relpath(root, output.parent))
    require_text(way)
    return way.as_posix()
