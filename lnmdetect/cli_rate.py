"""The last column of a progress bar: how fast it goes."""

from rich.progress import ProgressColumn, Task
from rich.text import Text


class RateColumn(ProgressColumn):
    """Items a second, or a minute or an hour where they take long."""

    def render(self, task: Task) -> Text:
        """Return the rate of the last while; nothing before there is one."""
        return Text(rate_text(task.finished_speed or task.speed), style="progress.data.speed")


def rate_text(a_second: float | None) -> str:
    """Return a rate with the unit in which it is 1 or more, of a second, a minute or an hour."""
    if not a_second:
        return ""
    for unit, seconds in (("s", 1), ("min", 60), ("h", 3600)):
        if a_second * seconds >= 1 or unit == "h":
            break
    return f"{a_second * seconds:.1f}/{unit}"


def rate_column() -> ProgressColumn:
    """Return the column."""
    return RateColumn()
