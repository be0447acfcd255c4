"""The studies of a cohort on Ray: decoded by tasks, analysed by actors that hold the models.

Ray Data streams the studies through both, holds decoding back while decoded studies wait, begins
lost processes and nodes anew and their studies again. All nodes need the same disk and key file.
"""

import logging
import os
import pickle
import queue
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path
from threading import Event
from typing import Any

from lnmdetect.core.cohort import CohortStudy
from lnmdetect.core.errors import LnmDetectError, OutputError
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
POLL_S, END_S = 0.1, 5.0
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_ENABLE_AUTO_CONNECT": "0",  # else a thread that outlives a stop begins another Ray
}
_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Ray's word for one machine only: it listens on 127.0.0.1, where else whoever reaches this machine
could run programs on it and see the pixels."""
_LONGEST_TEMPORARY = 24
"""Letters of a folder that leave room for the names of Ray's sockets, of which 107 are allowed."""
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
        study, end = None, _given_up(request, "decode")
        if end is None:
            study, end = self._done(request, lambda: self.load(request))
        return {**row, "study": pickle.dumps(study), "end": pickle.dumps(end)}

    def analyse(self, row: Row) -> Row:
        """Return what came of a decoded study."""
        request, end = pickle.loads(row["request"]), pickle.loads(row["end"])
        if end is None and (done := _published(request)) is not None:
            end = StudyEnd(request, done)  # all but the answer had come through
        end = end or _given_up(request, "analyse")
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
    cluster = bool(os.environ.get("RAY_ADDRESS"))
    # Ray reads them as it is imported.
    os.environ.update(_SETTINGS if cluster else _SETTINGS | _LOOPBACK)
    import ray

    for request in requests:  # tries of earlier runs do not count
        CohortFolder(request.output).drop_draft(request.case.name)
    if stop.is_set():
        return
    with ExitStack() as held:
        _start(_joined() if cluster else _begun(crew, held.enter_context(_temporary())))
        held.callback(ray.shutdown)
        for first in range(0, len(requests), CHUNK):
            yield from _stream(requests[first : first + CHUNK], work, crew, stop)


def _joined() -> Row:
    """Return how Ray joins the cluster; its processes are told where models and key are."""
    ours = {name: value for name, value in os.environ.items() if name.startswith("LNMDETECT_")}
    return {"runtime_env": {"env_vars": ours}}


def _begun(crew: Crew, temporary: str) -> Row:
    """Return how Ray begins on this machine alone, and joins no other that it knows of."""
    within = str(Path(temporary, "ray"))  # Ray opens its own folder to everybody
    alone = {"address": "local", "include_dashboard": False, "_temp_dir": within}
    return {"num_cpus": crew.workers, **alone}


def _temporary() -> "tempfile.TemporaryDirectory[str]":
    """Return a folder that nobody else can read, deleted at the end.

    Ray keeps its logs there, and decoded studies for which memory has no room.
    """
    usual = tempfile.gettempdir()
    place = usual if len(usual) <= _LONGEST_TEMPORARY or not Path("/tmp").is_dir() else "/tmp"
    return tempfile.TemporaryDirectory(prefix="lnm-", dir=place, ignore_cleanup_errors=True)


def _start(given: Row) -> None:
    """Connect to Ray; it tells nobody."""
    import ray

    held = signal.getsignal(signal.SIGTERM)
    ray.init(log_to_driver=False, logging_level=logging.ERROR, **given)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, held)  # Ray's own would end us without a table
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # a study that Ray itself loses stops no other
    # An error that ends it is raised as well; of a stop it would print a traceback.
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)


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
    reader = ThreadPool(1)  # whose thread, unlike that of an executor, holds up no exit
    ended = reader.apply_async(_hand_on, (dataset, come), {}, come.put, come.put)
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
        if not ended.ready():  # it waits for a row; without Ray it waits no more
            ray.shutdown()
            ended.wait(END_S)
        reader.terminate()


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
    """Put each row where the waiting one looks."""
    for row in dataset.iter_rows():
        come.put(row)


def _given_up(request: StudyRequest, step: str) -> StudyEnd | None:
    """Return the end of a study that is tried no more, None where it is; counts this try."""
    folder, case = CohortFolder(request.output), request.case.name
    try:
        attempt = folder.attempt(case, step)
        if (step, attempt) == ("decode", 1):  # an answer is told from earlier ones by being there
            folder.forget_results(case)
        reason = folder.why_given_up(case) or DIED * (attempt > ATTEMPTS)
    except OutputError as error:
        return StudyEnd(request, None, str(error), error)
    return StudyEnd(request, None, reason) if reason else None


def _published(request: StudyRequest) -> CohortStudy | None:
    folder = CohortFolder(request.output)
    study = folder.record(request.case.name)
    if study is None or not folder.is_current(request.case, study, request.made_with):
        return None
    return study
