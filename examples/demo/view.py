"""What a person sees: on a terminal a table that lives, else a line now and then."""

from __future__ import annotations

from types import TracebackType

from progress import Progress
from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

LINE_EVERY_S = 2.0
_BAR_WIDTH = 40
_COLOURS = {"alive": "green", "killed": "bold red", "starting": "yellow"}


class View:
    """Use it as a context, and `show` the progress as it goes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._told = 0
        self._last_s = -LINE_EVERY_S

    def __enter__(self) -> View:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, progress: Progress) -> None:
        if self._live is not None:
            self._live.update(picture(progress), refresh=True)
            return
        for elapsed_s, what in progress.story[self._told :]:
            print(f"{elapsed_s:6.1f} s  * {what}", flush=True)
        self._told = len(progress.story)
        if progress.elapsed_s - self._last_s >= LINE_EVERY_S:
            self._last_s = progress.elapsed_s
            print(line(progress), flush=True)


def line(progress: Progress) -> str:
    """All of it in one line."""
    feed, broker = progress.feed, progress.broker
    members = ", ".join(f"{each.name} {each.records:,}" for each in progress.members)
    lag = progress.lag(list(range(len(progress.positions))))
    return (
        f"{progress.elapsed_s:6.1f} s  sent {feed.sent:,}  acknowledged {feed.acknowledged:,}  read {progress.records:,}"
        f" ({members})  lag {lag:,}  broker {broker.state}{_memory(broker.memory_bytes, before=', ')}"
        + ("" if progress.checked is None else f"  checked {progress.checked:,}")
    )


def picture(progress: Progress) -> RenderableType:
    """The table, and the story under it: 19 lines of 76 columns."""
    story = [Text.assemble((f"{at_s:7.1f} s  ", "dim"), what) for at_s, what in progress.story]
    return Group(_broker(progress), _feed(progress), _members(progress), *story, *_checking(progress))


def _broker(progress: Progress) -> Text:
    broker = progress.broker
    state = f"{broker.state:<10}", _COLOURS[broker.state]
    memory = f"{_memory(broker.memory_bytes, before='memory '):<15}"
    restart = "" if broker.restart_s is None else f"killed, and back in {broker.restart_s:.2f} s"
    return Text.assemble(
        ("Broker    ", "bold"), state, memory, f"{restart:<33}", (f"{progress.elapsed_s:6.1f} s", "dim")
    )


def _feed(progress: Progress) -> Text:
    feed = progress.feed
    return Text.assemble(
        ("Producer  ", "bold"),
        *_bar(feed.acknowledged, feed.sent, progress.events),
        f"  of {progress.events:,} events\n{'':10}",
        f"sent {feed.sent:,}   acknowledged {feed.acknowledged:,}   {feed.rate.per_s:,.0f}/s",
    )


def _bar(acknowledged: int, sent: int, events: int) -> tuple[tuple[str, str], ...]:
    """Acknowledged, on its way, to be sent."""
    done = _BAR_WIDTH * acknowledged // events
    under_way = min(_BAR_WIDTH, -(-_BAR_WIDTH * sent // events)) - done
    return ("━" * done, "green"), ("━" * under_way, "yellow"), ("─" * (_BAR_WIDTH - done - under_way), "dim")


def _members(progress: Progress) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Group", style="bold", min_width=9)
    table.add_column("partitions", min_width=11)
    for title, width in (("records read", 12), ("rate/s", 8), ("lag", 9), ("seen again", 10)):
        table.add_column(title, justify="right", min_width=width)
    for member in progress.members:
        partitions = " ".join(map(str, member.partitions)) or "–"
        numbers = member.records, round(member.rate.per_s), progress.lag(member.partitions), member.again
        table.add_row(member.name, partitions, *(f"{each:,}" for each in numbers))
    return table


def _checking(progress: Progress) -> list[Text]:
    return (
        []
        if progress.checked is None
        else [Text(f"{'':11}reading the log to check it: {progress.checked:,}", style="dim")]
    )


def _memory(size_bytes: int | None, *, before: str) -> str:
    return "" if size_bytes is None else f"{before}{size_bytes / 1e6:,.0f} MB"
