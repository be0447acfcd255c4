"""The folder of `lnmdetect pacs listen`: slices that came in, results, and a record a series."""

import contextlib
import fcntl
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from lnmdetect.core.errors import OutputError
from lnmdetect.io.json_files import json_text
from lnmdetect.io.pacs_received import (
    PART,
    ReceivedObject,
    sync,
    sync_tree,
    write_durably,
)
from lnmdetect.io.pacs_uids import is_uid

Status = Literal["receiving", "waiting", "analysed", "done", "failed"]
FINISHED: tuple[Status, ...] = ("done", "failed")
_LOCK, _INCOMING, _STATE, _RESULTS = "lock", "incoming", "state", "results"


@dataclass(frozen=True)
class SeriesRecord:
    """What is known of one series, and will be after a restart.

    Attributes:
        sender: AE title of the node that sent it last.
        objects: SOP instance uids of its slices, from the moment it is complete.
        attempts: analyses begun.
        reason: why it failed, or what the PACS has against its results so far.
        boxes: above the operating threshold, once it is analysed.
        late: slices that came after its analysis had begun, and were refused.
        changed: when the status did, UTC.
    """

    series_uid: str
    status: Status
    study_uid: str = ""
    sender: str = ""
    objects: tuple[str, ...] = ()
    attempts: int = 0
    reason: str = ""
    boxes: int | None = None
    late: int = 0
    changed: str = ""

    def to(self, status: Status, **changes: Any) -> "SeriesRecord":
        """Return the record with another status, stamped now."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        return replace(self, status=status, changed=now, **changes)

    def brief(self) -> "SeriesRecord":
        """Return the record without its objects."""
        return replace(self, objects=())

    def to_event(self) -> dict[str, Any]:
        """Return the record without its list of objects, as `listen --json` prints it."""
        data = asdict(self)
        return {**data, "objects": len(self.objects)}


class Inbox:
    """The folder; one listener at a time works in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process.

        Raises:
            OutputError: another listener holds it, or it cannot be made.
        """
        with contextlib.ExitStack() as held:
            try:
                for name in (_INCOMING, _STATE, _RESULTS):
                    (self.folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
                stream = held.enter_context((self.folder / _LOCK).open("w"))
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._clean()
            except BlockingIOError:
                raise self._unusable("one that another listener works in") from None
            except OSError as error:
                raise self._unusable(error.strerror or type(error).__name__) from None
            yield

    def incoming(self, series_uid: str) -> Path:
        """Return where the slices of a series lie."""
        return self.folder / _INCOMING / series_uid

    def results(self, series_uid: str) -> Path:
        """Return where the results of a series lie."""
        return self.folder / _RESULTS / series_uid

    def draft(self, record: SeriesRecord) -> Path:
        """Return where this attempt's results are written before they are whole."""
        name = f"{record.series_uid}.{record.attempts}{PART}"
        return self.folder / _RESULTS / name

    def keep(self, received: ReceivedObject) -> None:
        """Write an object so that it survives a power cut.

        Raises:
            OSError: the disk refuses.
        """
        path = self.incoming(received.series_uid) / f"{received.sop_uid}.dcm"
        write_durably(path, received.content)

    def slices(self, series_uid: str) -> dict[str, int]:
        """Return the SOP instance uids of what came in, with the sizes in bytes."""
        files = self.incoming(series_uid).glob("*.dcm")
        return {path.stem: path.stat().st_size for path in sorted(files)}

    def size(self, series_uid: str, sop_uid: str) -> int:
        """Return the bytes of one slice, 0 where it has not come in."""
        path = self.incoming(series_uid) / f"{sop_uid}.dcm"
        return path.stat().st_size if path.is_file() else 0

    def newest(self, series_uid: str) -> float:
        """Return when the last slice was written, seconds of the clock."""
        files = self.incoming(series_uid).glob("*.dcm")
        return max((path.stat().st_mtime for path in files), default=0.0)

    def arrived(self) -> list[str]:
        """Return the series of which slices lie here."""
        names = (path.name for path in (self.folder / _INCOMING).iterdir() if path.is_dir())
        return sorted(name for name in names if is_uid(name))

    def save(self, record: SeriesRecord) -> None:
        """Write the record, durably.

        Raises:
            OSError: the disk refuses.
        """
        write_durably(self._state(record.series_uid), json_text(asdict(record)).encode())

    def record(self, series_uid: str) -> SeriesRecord | None:
        """Return the record of a series, None where there is none that can be read."""
        try:
            data = json.loads(self._state(series_uid).read_text(encoding="utf-8"))
            record = SeriesRecord(**{**data, "objects": tuple(data["objects"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None
        sound = record.series_uid == series_uid and record.status in get_args(Status)
        return record if sound else None

    def records(self) -> list[SeriesRecord]:
        """Return all records, the longest unchanged first; finished ones without their objects."""
        names = [path.stem for path in (self.folder / _STATE).glob("*.json")]
        found = [self._brief(name) for name in names if is_uid(name)]
        return sorted((r for r in found if r is not None), key=lambda record: record.changed)

    def _brief(self, series_uid: str) -> SeriesRecord | None:
        record = self.record(series_uid)
        # The names of 10,000 finished series' slices would fill hundreds of megabytes.
        return record if record is None or record.status not in FINISHED else record.brief()

    def adopt(self, record: SeriesRecord) -> None:
        """Make this attempt's draft the results of the series, so that they survive a power cut.

        Raises:
            OSError: the disk refuses; nothing is lost, and it may be tried again.
        """
        if not self.draft(record).is_dir():
            return  # an earlier try came as far as this
        sync_tree(self.draft(record))
        self._remove(self.results(record.series_uid))
        self.draft(record).replace(self.results(record.series_uid))
        sync(self.folder / _RESULTS)

    def drop_draft(self, record: SeriesRecord) -> None:
        """Delete what a failed attempt left."""
        self._remove(self.draft(record))

    def drop_slices(self, series_uid: str) -> None:
        """Delete the slices of a series."""
        self._remove(self.incoming(series_uid))

    def drop_results(self, series_uid: str) -> None:
        """Delete the results of a series."""
        self._remove(self.results(series_uid))

    def forget(self, series_uid: str) -> None:
        """Delete the results and the record of a series."""
        self.drop_results(series_uid)
        self._state(series_uid).unlink(missing_ok=True)

    def free_bytes(self) -> int:
        """Return what the disk still takes."""
        return shutil.disk_usage(self.folder).free

    def _state(self, series_uid: str) -> Path:
        return self.folder / _STATE / f"{series_uid}.json"

    def _clean(self) -> None:
        """Delete what an ended listener had not written whole."""
        for part in [*self.folder.glob(f"*/*{PART}"), *self.folder.glob(f"*/*/.*{PART}")]:
            self._remove(part)

    @staticmethod
    def _remove(path: Path) -> None:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

    def _unusable(self, got: str) -> OutputError:
        return OutputError(
            self.folder.name,
            expected="a folder for this listener alone",
            got=got,
            remedy="Choose another --output, or end the other listener.",
        )
