"""What the command line says and where: results to stdout, everything else to stderr."""

import errno
import json
import logging
import shlex
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text
from typer.core import TyperGroup

from lnmdetect.core.errors import LnmDetectError, OutputError, PartialBatchError
from lnmdetect.core.wording import visible

T = TypeVar("T")

EXIT_CODES = (
    "Exit codes: 0 done (finding no node is a result), 1 internal error, 2 wrong usage, "
    "3 bad input, 4 model or weights, 5 output or PACS, 6 some of a batch failed, 130 interrupted."
)
DISK_ERRORS = frozenset({errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EROFS, errno.EDQUOT})
"""What a user can act on without a name of a file, which may hold a patient's."""
_PACKAGE = Path(__file__).parent
_log = logging.getLogger("lnmdetect")


_FILE_WIDTH = 160
"""Columns of a table that goes into a file."""


class _PlainConsole(Console):
    """A console on which texts from files cannot steer the terminal: what would is shown."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Return the text as it is measured and drawn."""
        return super().render_str(visible(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """Yield what is drawn; rich's own control segments pass, those within texts do not."""
        for segment in super().render(renderable, options):
            own = segment.control is not None
            yield segment if own else segment._replace(text=visible(segment.text))


@dataclass(frozen=True)
class Talk:
    """How much a command says, and in which form."""

    quiet: bool = False
    verbose: bool = False
    as_json: bool = False

    def __post_init__(self) -> None:
        level = logging.DEBUG if self.verbose else logging.ERROR if self.quiet else logging.WARNING
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        _log.handlers = [handler]
        _log.setLevel(level)

    def result(self, data: Any, *, text: str) -> None:
        """Print the result: `data` as JSON with --json, else `text` unless quiet."""
        self.json(data)
        if not (self.as_json or self.quiet):
            print(visible(text))

    def json(self, data: Any) -> None:
        """Print `data` as JSON if that was asked for."""
        if self.as_json:
            print(json.dumps(plain(data), indent=1, ensure_ascii=False))

    def table(self, table: Any) -> None:
        """Print a rich table to stdout (nothing with --json or quiet), unfolded into a file."""
        if self.quiet or self.as_json:
            return
        console = _PlainConsole(file=sys.stdout, markup=False, emoji=False)
        if not console.is_terminal:
            console.width = _FILE_WIDTH
        console.print(table)

    def note(self, text: str) -> None:
        """Say something beside the result, on stderr."""
        if not self.quiet:
            _stderr().print(text, style="dim", markup=False, highlight=False, soft_wrap=True)

    def notes(self, texts: Iterable[str]) -> None:
        """Say several things beside the result, a line each."""
        for text in texts:
            self.note(f"Note: {text}")

    def hint(self, *words: object) -> None:
        """Name the command that usually follows, on stderr, quoted for the shell."""
        self.note(f"Next: {shlex.join(str(word) for word in words)}")

    def stop_if_partial(self, failures: Sequence[LnmDetectError]) -> None:
        """Name what failed of a batch.

        Raises:
            typer.Exit: with code 6, where something failed.
        """
        for failure in failures:
            complain(str(failure))
        if failures:
            complain(f"{len(failures)} of the batch failed; the others are written.")
            raise typer.Exit(PartialBatchError.exit_code)

    def track(
        self, items: Iterable[T], *, description: str, total: int | None = None
    ) -> Iterator[T]:
        """Yield `items` under a progress bar on stderr, silent where stderr is no terminal."""
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        from lnmdetect.cli_rate import rate_column

        console = _stderr()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            rate_column(),
        )
        disable = self.quiet or not console.is_terminal
        with Bars(*columns, console=console, disable=disable, transient=True) as bars:
            yield from bars.track(items, description=description, total=total)


def plain(value: Any) -> Any:
    """Return `value` as JSON can hold it: dataclasses as objects, paths as text."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, LnmDetectError):
        return str(value)
    return value


class GuardedGroup(TyperGroup):
    """The one place where errors become sentences and exit codes."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; what it raises leaves as one sentence on stderr and an exit code.

        Raises:
            typer.Exit: with the code of `EXIT_CODES` that fits.
        """
        try:
            return super().invoke(ctx)
        except LnmDetectError as error:
            complain(str(error))
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt as stop:
            complain(str(stop) or "Interrupted; no half-written output is left behind.")
            raise typer.Exit(130) from None
        except Exception as error:
            # typer's own control flow (Exit, Abort, usage errors) and a closed pipe go on to typer.
            own = type(error).__module__.startswith(("typer", "click"))
            if own or isinstance(error, BrokenPipeError):
                raise
            if isinstance(error, OSError) and error.errno in DISK_ERRORS:
                complain(
                    f"The disk refused: {error.strerror}. Choose another --output, or free it."
                )
                raise typer.Exit(OutputError.exit_code) from None
            complain(_internal_error(error))
            raise typer.Exit(1) from None


def _internal_error(error: Exception) -> str:
    """Return a sentence with kind and place of a bug; its text may name a patient: left out."""
    if _log.isEnabledFor(logging.DEBUG):
        complain("".join(traceback.format_tb(error.__traceback__)) + type(error).__name__)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if _in_package(f.filename)]
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "a library"
    return (
        f"internal error: an unexpected {type(error).__name__} in {place}. This is a bug in "
        "lnmdetect; run again with -v for the traceback."
    )


def _in_package(filename: str) -> bool:
    return Path(filename).is_relative_to(_PACKAGE)


def complain(sentence: str) -> None:
    """Print one red sentence to stderr."""
    _stderr().print(sentence, style="red", markup=False, highlight=False, soft_wrap=True)


def _stderr() -> Console:
    return _PlainConsole(stderr=True, emoji=False)
