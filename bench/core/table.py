"""The one table: a row for each case and metric, a column for each broker, the ratio to the first peer, and the aim."""

from __future__ import annotations

from collections.abc import Sequence

from .brokers import OTTLA
from .model import Better, Metric, Result
from .statistics import Spread, ratio

HEAD = ("scenario", "work (durability)", "figure")


def table(results: Sequence[Result], brokers: Sequence[str]) -> str:
    """Markdown that can be read as it is: each figure is a median, its spread over the runs in parentheses."""
    peer = next((each for each in brokers if each != OTTLA), None)
    head = [*HEAD, *brokers, *(["ratio", "aim"] if peer else [])]
    rows = [head, *(row for result in results for row in _rows(result, brokers, peer))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [_line(row, widths) for row in rows]
    rule = "|" + "|".join(("-" * (width + 2)) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _rows(result: Result, brokers: Sequence[str], peer: str | None) -> list[list[str]]:
    rows = []
    for metric in result.metrics:
        row = [result.scenario, f"{result.case} ({result.durability})", f"{metric.name}, {metric.unit}"]
        row += [_cell(result, broker, metric) for broker in brokers]
        if peer is not None:
            row += _judged(result, metric, peer)
        rows.append(row)
    return rows


def _cell(result: Result, broker: str, metric: Metric) -> str:
    values = result.values.get(broker, {}).get(metric.name)
    if not values:
        return "-"
    text = spread_text(Spread.of(values), metric.digits, len(values))
    failures = result.failures.get(broker, 0)
    return f"{text}, {failures} failed" if failures else text


def spread_text(spread: Spread, digits: int, count: int) -> str:
    """`median (smallest-largest)`."""
    if count < 2:
        return f"{spread.median:,.{digits}f}"
    return f"{spread.median:,.{digits}f} ({spread.smallest:,.{digits}f}-{spread.largest:,.{digits}f})"


def _judged(result: Result, metric: Metric, peer: str) -> list[str]:
    """The ratio to the peer, and the aim with whether it is met."""
    ours, theirs = (result.values.get(name, {}).get(metric.name, []) for name in (OTTLA, peer))
    found = ratio(ours, theirs)
    aim = result.aims.get(metric.name)
    if found is None:
        return ["-", "" if aim is None else _aim_text(aim, metric)]
    text = spread_text(found, 2, min(len(ours), len(theirs)))
    if aim is None:
        return [text, ""]
    return [text, f"{_aim_text(aim, metric)} {'met' if meets(found.median, aim, metric) else 'missed'}"]


def _aim_text(aim: float, metric: Metric) -> str:
    return f"{'>=' if metric.better is Better.MORE else '<='} {aim:g}"


def meets(found: float, aim: float, metric: Metric) -> bool:
    """Whether a ratio is as good as aimed for."""
    return found >= aim if metric.better is Better.MORE else found <= aim


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
