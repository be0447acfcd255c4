"""The studies of a cohort on Ray: decoded by tasks, analysed by actors that hold the models.

Ray Data streams the studies through both, holds decoding back while decoded studies wait, begins
lost processes and nodes anew and their studies again. All nodes need the same disk and key file.
"""

import logging
import os
import pickle
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any

from lnmdetect.core.cohort import CohortStudy
from lnmdetect.core.errors import LnmDetectError
from lnmdetect.core.extras import require_package
from lnmdetect.io.cohort_folder import CohortFolder
from lnmdetect.stages.analyst import DIED, internal_error
from lnmdetect.stages.cohort_end import Crew, StudyEnd
from lnmdetect.stages.cohort_study import Loader, Pipeline, StudyRequest

ATTEMPTS = 3
"""Of a study amid which its process or its node was lost."""
CHUNK = 2000
"""Studies a stream; Ray keeps a few objects of each until its stream has ended."""
DECODE_CPUS, ANALYSE_CPUS = 0.1, 0.9
"""So that both together fill a core: decoding is a small share of the work, and never waits for a
core that the models hold."""
POLL_S, END_S = 0.1, 30.0
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_ENABLE_AUTO_CONNECT": "0",  # else a thread that outlives a stop begins another Ray
}
Row = dict[str, Any]


@dataclass(frozen=True)
class RayWork:
    """What each process of the cluster needs to know."""

    load: Loader
    pipeline: Pipeline
    timeout_s: float

    def decode(self, row: Row) -> Row:
        """Return the row with the decoded study, or with why there is none."""
        request = pickle.loads(row["request"])
        if reason := _reason_to_give_up(request, "decode"):
            return {**row, "study": b"", "end": pickle.dumps(StudyEnd(request, None, reason))}
        study, end = self._done(request, lambda: self.load(request))
        return {**row, "study": pickle.dumps(study), "end": pickle.dumps(end)}

    def analyse(self, row: Row) -> Row:
        """Return what came of a decoded study."""
        request, end = pickle.loads(row["request"]), pickle.loads(row["end"])
        if end is None and (done := _published(request)) is not None:
            end = StudyEnd(request, done)  # all but the answer had come through
        if end is None and (reason := _reason_to_give_up(request, "analyse")):
            end = StudyEnd(request, None, reason)
        if end is None:
            loaded = pickle.loads(row["study"])
            study, end = self._done(request, lambda: self.pipeline(request, loaded))
            end = end or StudyEnd(request, study)
        return {"place": row["place"], "end": pickle.dumps(end)}

    def _done(self, request: StudyRequest, step: Callable[[], Any]) -> tuple[Any, StudyEnd | None]:
        """Return a step's result, or how it ended the study; no text of a bug reaches Ray's log.

        A step that takes too long ends this process, since nothing else ends it.
        """
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(step)
            if not wait([future], timeout=self.timeout_s).done:
                slow = f"the analysis took longer than {self.timeout_s:.0f} s and was ended"
                CohortFolder(request.output).give_up(request.case.name, slow)
                os.kill(os.getpid(), signal.SIGKILL)
            error = future.exception()
            if error is None:
                return future.result(), None
        own = error if isinstance(error, LnmDetectError) else None
        return None, StudyEnd(request, None, str(own or internal_error(error)), own)


class Analyser:
    """An actor: a process that keeps the models in memory from one study to the next."""

    def __init__(self, work: RayWork) -> None:
        self._work = work

    def __call__(self, row: Row) -> Row:
        """Return what came of a study."""
        return self._work.analyse(row)


def require_ray() -> None:
    """Do nothing where Ray is installed.

    Raises:
        MissingExtraError: it is not.
    """
    for module in ("ray", "pyarrow", "pandas"):
        require_package(module, where="--engine ray", package="ray[data] (clusters)", extra="ray")


def analyse_by_ray(
    requests: Sequence[StudyRequest], work: RayWork, crew: Crew, stop: Event
) -> Iterator[StudyEnd]:
    """Yield each study as it ends, until all have or `stop` is set; what is under way is dropped.

    The cluster is that of RAY_ADDRESS, else this machine, with as many actors as the crew has
    workers.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    require_ray()
    os.environ.update(_SETTINGS)  # Ray reads them as it is imported
    import ray

    for request in requests:  # their answers are told from earlier ones by being there
        CohortFolder(request.output).forget(request.case.name)
    _start(crew)
    try:
        for first in range(0, len(requests), CHUNK):
            yield from _stream(requests[first : first + CHUNK], work, crew, stop)
    finally:
        ray.shutdown()


def _start(crew: Crew) -> None:
    """Connect to the cluster, or begin one of this machine's cores; nothing is sent to anyone."""
    import ray

    local: dict[str, Any] = {"num_cpus": crew.workers, "include_dashboard": False}
    ours = {name: value for name, value in os.environ.items() if name.startswith("LNMDETECT_")}
    cluster = {"runtime_env": {"env_vars": ours}}  # where the models and the key are
    given = cluster if os.environ.get("RAY_ADDRESS") else local
    held = signal.getsignal(signal.SIGTERM)
    ray.init(log_to_driver=False, logging_level=logging.ERROR, **given)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, held)  # Ray's own would end us without a table
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # a study that Ray itself loses stops no other
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def _stream(
    requests: Sequence[StudyRequest], work: RayWork, crew: Crew, stop: Event
) -> Iterator[StudyEnd]:
    """Yield the ends of a chunk; those that Ray has lost last."""
    open_places = set(range(len(requests)))
    for row in _rows(requests, work, crew, stop):
        open_places.discard(row["place"])
        yield pickle.loads(row["end"])
    if not stop.is_set():
        yield from (StudyEnd(requests[place], None, DIED) for place in sorted(open_places))


def _rows(
    requests: Sequence[StudyRequest], work: RayWork, crew: Crew, stop: Event
) -> Iterator[Row]:
    """Yield rows as Ray gives them; waiting for one does not keep from stopping."""
    import ray

    rows = [{"place": n, "request": pickle.dumps(item)} for n, item in enumerate(requests)]
    actors = ray.data.ActorPoolStrategy(size=crew.workers, max_tasks_in_flight_per_actor=2)
    dataset = (
        ray.data.from_items(rows, override_num_blocks=len(rows))
        .map(work.decode, num_cpus=DECODE_CPUS, concurrency=crew.workers)
        .map(
            Analyser,
            fn_constructor_args=(work,),
            compute=actors,
            num_cpus=ANALYSE_CPUS,
            num_gpus=gpu_share(
                requests[0].options.device, ray.cluster_resources().get("GPU", 0.0), crew.workers
            ),
        )
    )
    come: queue.SimpleQueue[Row | BaseException | None] = queue.SimpleQueue()
    reader = Thread(target=_hand_on, args=(dataset, come), daemon=True)
    reader.start()
    try:
        while not stop.is_set():
            with suppress(queue.Empty):
                row = come.get(timeout=POLL_S)
                if row is None:
                    return
                if isinstance(row, BaseException):
                    raise row
                yield row
    finally:
        if reader.is_alive():  # it waits for a row; without Ray it waits no more
            ray.shutdown()
            reader.join(END_S)


def gpu_share(device: str, gpus: float, workers: int) -> float:
    """Return how much of a GPU each actor holds: of none, a GPU is hidden from it.

    Args:
        device: as `--device` names it.
        gpus: of the cluster.
        workers: that share them; never more than one each.
    """
    if device == "cpu" or gpus == 0:
        return 0.0
    return min(1.0, int(1000 * gpus / workers) / 1000)


def _hand_on(dataset: Any, come: "queue.SimpleQueue[Row | BaseException | None]") -> None:
    """Put each row where the waiting one looks, then None, or what ended them before."""

    def all_rows() -> None:
        for row in dataset.iter_rows():
            come.put(row)

    with ThreadPoolExecutor(1) as pool:
        come.put(pool.submit(all_rows).exception())


def _reason_to_give_up(request: StudyRequest, step: str) -> str:
    """Return why a study is tried no more, nothing where it is; counts this try."""
    folder, case = CohortFolder(request.output), request.case.name
    return folder.why_given_up(case) or DIED * (folder.attempt(case, step) > ATTEMPTS)


def _published(request: StudyRequest) -> CohortStudy | None:
    folder = CohortFolder(request.output)
    study = folder.record(request.case.name)
    if study is None or not folder.is_current(request.case, study, request.made_with):
        return None
    return study
