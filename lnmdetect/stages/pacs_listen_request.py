"""What `lnmdetect pacs listen` is asked to do, and what it says at its end."""

from dataclasses import dataclass, field
from pathlib import Path

from lnmdetect.io.dimse_listen import Door
from lnmdetect.io.pacs_address import Address
from lnmdetect.stages.pacs_analysis import Kind, analyse
from lnmdetect.stages.pacs_reception import Limits
from lnmdetect.stages.pacs_workers import Pipeline

FIRST_WAIT_S, LONGEST_WAIT_S = 10.0, 600.0
"""Between two tries to send results to a PACS that does not answer; doubled each time."""


@dataclass(frozen=True)
class ListenRequest:
    """Who may send what, and what happens to it.

    Attributes:
        folder: for slices, results and records; one listener at a time works in it.
        door: who may come in where.
        to: where results go; None leaves them in the folder.
        kinds: of DICOM objects made of the findings.
        model, classifier, device: as `run` takes them.
        timeout_s: longest analysis of a series.
        attempts: analyses of a series amid which the listener itself ends; then it has failed.
        stop_after: end when so many series have finished; None goes on.
        pipeline: what is run on a series, importable by name.
        wait_s: before the results are sent again to a PACS that did not answer.
    """

    folder: Path
    door: Door
    to: Address | None = None
    kinds: tuple[Kind, ...] = ("sr",)
    limits: Limits = field(default_factory=Limits)
    model: str = "compact"
    classifier: str = "compact"
    device: str = "auto"
    timeout_s: float = 3600.0
    attempts: int = 3
    stop_after: int | None = None
    pipeline: Pipeline = analyse
    wait_s: float = FIRST_WAIT_S


@dataclass(frozen=True)
class ListenResult:
    """What a listener did from its start to its end; the last three are still to be done.

    Attributes:
        done, failed: series.
        refused_full, refused_late: objects.
    """

    done: int
    failed: int
    refused_full: int
    refused_late: int
    receiving: int
    waiting: int
    to_send: int
