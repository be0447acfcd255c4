"""`lnmdetect pacs push`: DICOM objects to a PACS, tried again where that may help."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.io import dicomweb_store, dimse_store
from lnmdetect.io.pacs_address import Address, DimseAddress
from lnmdetect.io.pacs_objects import (
    Answer,
    ConnectionLostError,
    ObjectOutcome,
    StoredObject,
    list_objects,
)

RETRIES = 3
LONGEST_WAIT_S = 30.0


@dataclass(frozen=True)
class PushRequest:
    """What to send where.

    Attributes:
        paths: files, folders or zip archives of DICOM objects.
        retries: passes more where one brought nothing further.
        wait_s: before the first of them; doubled each time.
    """

    paths: tuple[Path, ...]
    to: Address
    retries: int = RETRIES
    wait_s: float = 1.0


@dataclass(frozen=True)
class PushResult:
    """What became of each object, in the order of the files; `passed_over` files are no DICOM."""

    to: str
    objects: tuple[ObjectOutcome, ...]
    passed_over: int
    seconds: float

    @property
    def counts(self) -> Mapping[str, int]:
        """How many objects were taken, refused and not sent."""
        states = [item.state for item in self.objects]
        return {name: states.count(name) for name in ("taken", "refused", "not sent")}

    def to_json(self) -> dict[str, Any]:
        """Return the result as data_specs/push.schema.json has it."""
        return {
            "to": self.to,
            **{name.replace(" ", "_"): count for name, count in self.counts.items()},
            "passed_over": self.passed_over,
            "seconds": round(self.seconds, 3),
            "objects": [vars(item) for item in self.objects],
        }


def push(request: PushRequest, progress: Progress = SILENT) -> PushResult:
    """Return what became of each object at the paths.

    Raises:
        InputError: nothing at a path is a DICOM object.
        OutputError: the other side does not want us.
        MissingExtraError: the package for this kind of address is not installed.
    """
    started = time.monotonic()
    objects, passed_over = list_objects(request.paths)
    outcomes = deliver(request, objects, progress)
    return PushResult(request.to.words, outcomes, passed_over, time.monotonic() - started)


def deliver(
    request: PushRequest,
    objects: tuple[StoredObject, ...],
    progress: Progress = SILENT,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[ObjectOutcome, ...]:
    """Return what became of each object: passes over what is left, until nothing is.

    Raises:
        OutputError: the other side does not want us.
    """
    ledger = {item.sop_instance_uid: _Entry(item) for item in objects}
    watched = progress.track(
        _passes(request, ledger, sleep), description="sending", total=len(ledger)
    )
    for _ in watched:
        pass
    return tuple(entry.outcome() for entry in ledger.values())


@dataclass
class _Entry:
    """What is known of an object while it is being sent."""

    item: StoredObject
    attempts: int = 0
    answer: Answer | None = None
    lost: str = ""
    lost_here: int = 0

    @property
    def is_settled(self) -> bool:
        return self.answer is not None and self.answer.kind != "again"

    def outcome(self) -> ObjectOutcome:
        name, uid = self.item.sop_class, self.item.sop_instance_uid
        if self.answer is None:
            return ObjectOutcome(uid, name, "not sent", self.attempts, None, self.lost)
        state: Any = "taken" if self.answer.kind == "taken" else "refused"
        return ObjectOutcome(
            uid, name, state, self.attempts, self.answer.status, self.answer.reason
        )


def _passes(
    request: PushRequest, ledger: Mapping[str, _Entry], sleep: Callable[[float], None]
) -> Iterator[None]:
    """Yield once for each object that is settled."""
    left, wait_s = request.retries, request.wait_s
    while True:
        pending = [entry for entry in ledger.values() if not entry.is_settled]
        # An object at which the other side falls over must not keep the others from it.
        pending.sort(key=lambda entry: entry.lost_here)
        settled = 0
        for _ in _one_pass(request.to, pending):
            settled += 1
            yield
        if settled == len(pending) or (not settled and left == 0):
            return
        left, wait_s = (request.retries, request.wait_s) if settled else (left - 1, wait_s)
        sleep(wait_s)
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def _one_pass(to: Address, pending: list[_Entry]) -> Iterator[None]:
    """Yield for each object that this pass settles; a lost connection ends it."""
    by_uid = {entry.item.sop_instance_uid: entry for entry in pending}
    answered: set[str] = set()
    try:
        for item, answer in _store_pass(to, [entry.item for entry in pending]):
            entry = by_uid[item.sop_instance_uid]
            entry.answer = answer
            entry.attempts += 1
            answered.add(item.sop_instance_uid)
            if entry.is_settled:
                yield
    except ConnectionLostError as error:
        unanswered = [entry for uid, entry in by_uid.items() if uid not in answered]
        for number, entry in enumerate(unanswered):
            entry.attempts += 1
            entry.lost_here += number == 0
            entry.lost = error.reason


def _store_pass(
    to: Address, items: Iterable[StoredObject]
) -> Iterator[tuple[StoredObject, Answer]]:
    if isinstance(to, DimseAddress):
        return dimse_store.store_pass(to, items)
    return dicomweb_store.store_pass(to, items)
