"""What `lnmdetect pacs` did, as tables for people."""

from rich.console import Group, RenderableType
from rich.table import Table

from lnmdetect.core.wording import counted
from lnmdetect.stages.pacs_pull import PullResult
from lnmdetect.stages.pacs_push import PushResult

ROWS = 40
"""More objects than this are not listed one by one where all were taken."""


def push_tables(result: PushResult) -> RenderableType:
    """Return the objects with what became of each; of many only those with something to say."""
    said = [item for item in result.objects if item.state != "taken" or item.reason]
    shown = result.objects if len(result.objects) <= ROWS else said
    table = Table(title=f"Sent to {result.to}", title_justify="left")
    for name in ("Object", "Kind", "State", "Attempts", "Status", "Why"):
        table.add_column(name, overflow="fold", justify="right" if name == "Attempts" else "left")
    for item in shown:
        status = item.status or "none"
        row = (item.sop_instance_uid, item.sop_class, item.state, str(item.attempts), status)
        table.add_row(*row, item.reason)
    counts = ", ".join(f"{count} {state}" for state, count in result.counts.items() if count)
    line = f"{counted(len(result.objects), 'object')}: {counts}"
    return Group(table, line) if shown else line


def pull_text(result: PullResult) -> str:
    """Return what was fetched, in a sentence."""
    objects = counted(result.objects, "object")
    return f"{result.output}: {objects} in {counted(result.series, 'series', 'series')}"
