"""Whether the files of an input are still those of an earlier run, without opening one."""

from pathlib import Path

from lnmdetect.io.input_files import list_input_files


def file_states(path: Path) -> list[tuple[str, str]]:
    """Return the name of each file of an input, and its size and time of change, sorted by name.

    Raises:
        InputError: nothing is there, or the path is no text.
    """
    if path.is_file():
        return [(path.name, _state(path))]
    return [(name, _state(path / name)) for name in list_input_files(path).names]


def _state(file: Path) -> str:
    try:
        status = file.stat()
    except OSError:
        return "cannot be read"
    return f"{status.st_size} {status.st_mtime_ns}"
