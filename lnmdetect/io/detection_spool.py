"""What an unfinished `detect` has found, kept beside its output, so that the next one goes on."""

import contextlib
import hashlib
import json
import operator
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from lnmdetect.core.errors import InputError, OutputError
from lnmdetect.core.geometry import as_boxes
from lnmdetect.core.records import Detections
from lnmdetect.io.file_locks import hold
from lnmdetect.io.input_stamp import file_states
from lnmdetect.io.json_files import unwritable

Place = tuple[int, int]
"""Number of the scan, and of the slice in it."""


class DetectionSpool:
    """A line of JSON a slice: its place, boxes and scores; no uid and no name.

    Attributes:
        found: of each slice that an earlier run of the same identity has searched.
    """

    def __init__(self, stream: IO[bytes], identity: str) -> None:
        self._stream = stream
        self.found: dict[Place, Detections] = {}
        header = _line({"identity": identity})
        stream.seek(0)
        end = len(header)
        if stream.readline() == header:
            for line in stream:
                kept = _kept(line)
                if kept is None:  # what a killed run has not ended
                    break
                self.found[kept[0]] = kept[1]
                end += len(line)
            stream.truncate(end)
        else:
            stream.truncate(0)
            stream.write(header)
        stream.flush()

    def keep(self, place: Place, found: Detections) -> None:
        """Write down what was found on a slice.

        Raises:
            OSError: the disk refuses.
        """
        boxes, scores = found.boxes_xyxy.tolist(), found.scores.tolist()
        self._stream.write(_line({"place": place, "boxes": boxes, "scores": scores}))
        self._stream.flush()


@contextlib.contextmanager
def detection_spool(output: Path, identity: str) -> Iterator[DetectionSpool]:
    """Give what an earlier run to `output` has left; deleted when the block ends without error.

    Raises:
        InputError: as it came; nothing is left.
        OutputError: another run writes the same output, or the disk refuses.
        KeyboardInterrupt: as it came, with a sentence that says how to go on.
    """
    path = spool_path(output)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as stream:
            hold(stream)
            yield DetectionSpool(stream, identity)
            path.unlink(missing_ok=True)
    except InputError:  # the same command would end the same way
        path.unlink(missing_ok=True)
        raise
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "Interrupted; the slices searched so far are kept: the same command goes on from there."
        ) from None
    except BlockingIOError:
        raise OutputError(
            output.name,
            expected="an output that no other run writes",
            got="one that another run works on",
            remedy="Wait for the other run, or choose another --output.",
        ) from None
    except OSError as error:
        raise unwritable(output.name, error) from None


def spool_path(output: Path) -> Path:
    """Return where the spool of an output lies: `.boxes.json.resume` beside it."""
    return output.with_name(f".{output.name}.resume")


def spool_identity(scan: Path, decides: Mapping[str, Any]) -> str:
    """Return a digest of a scan's files and of what else decides what is found in them.

    Sizes and times of change stand for the files; their names, which may be a patient's, do not
    take part.

    Raises:
        InputError: nothing is there.
    """
    files = [state for _, state in file_states(scan)]
    text = json.dumps([files, dict(decides)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _line(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data).encode() + b"\n"


def _kept(line: bytes) -> tuple[Place, Detections] | None:
    """Return what a line holds, None where it is not whole."""
    if not line.endswith(b"\n"):
        return None
    try:
        data = json.loads(line)
        scan, index = map(operator.index, data["place"])
        return (scan, index), Detections(as_boxes(data["boxes"]), np.array(data["scores"], float))
    except (ValueError, KeyError, TypeError):
        return None
