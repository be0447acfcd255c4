"""The run record of a command that reads scans: what was asked, and the hash of a single file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lnmdetect.io.json_files import sha256_of_file
from lnmdetect.io.pseudonym import load_key, pseudonymise_uid
from lnmdetect.io.run_record import RunRecord


def start_scan_record(command: str, scan: Path, config: Mapping[str, Any]) -> RunRecord:
    """Return the record of a command on `scan`, a folder or a file.

    Args:
        command: its name.
        scan: recorded by its hash where it is a file, never by its name.
        config: what was asked, without paths. Where `pseudonymise_uids` is set the uid under
            `series` is recorded as the output has it: keyed.
    """
    series = config["series"]
    if series is not None and config["pseudonymise_uids"]:
        series = pseudonymise_uid(series.strip(), load_key())
    record = RunRecord(command, {**config, "series": series})
    if scan.is_file():
        record.inputs["scan"] = sha256_of_file(scan)
    return record
