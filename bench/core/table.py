"""The one table: a row for each case and metric, a column for each broker, the ratio to the first peer, and the aim.

Where a floor was measured it has a column, too; an aim that lies beyond it in that run is not called missed, unless Ottla was
better than the floor, which then is none.  Nor is an aim that lies beyond what the client could have taken of any broker, if
Ottla is as good as the peer.  A metric's own aim is for the figure itself, against every broker, and such a
figure is not divided by the peer's.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from .brokers import OTTLA
from .model import FLOOR, Better, Metric, Result
from .statistics import Spread, ratio

HEAD = ("scenario", "work (durability)", "figure")


def table(results: Sequence[Result], brokers: Sequence[str]) -> str:
    """Markdown that can be read as it is: each figure is a median, its spread over the runs in parentheses."""
    peer = next((each for each in brokers if each != OTTLA), None)
    columns = measured_things(results, brokers)
    head = [*HEAD, *columns, *(["ratio"] if peer else []), "aim"]
    rows = [head, *(row for result in results for row in _rows(result, brokers, columns, peer))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [_line(row, widths) for row in rows]
    rule = "|" + "|".join(("-" * (width + 2)) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def measured_things(results: Sequence[Result], brokers: Sequence[str]) -> list[str]:
    """The brokers, and the floor where there is one in these results."""
    return [*brokers, *([FLOOR] if any(FLOOR in each.values for each in results) else [])]


def _rows(result: Result, brokers: Sequence[str], columns: Sequence[str], peer: str | None) -> list[list[str]]:
    rows = []
    for metric in result.metrics:
        row = [result.scenario, f"{result.case} ({result.durability})", f"{metric.name}, {metric.unit}"]
        row += [_cell(result, each, metric) for each in columns]
        if peer is not None:
            row.append(_ratio_cell(result, metric, peer))
        row.append(_own_aim(result, metric, brokers) if metric.aim is not None else _aim(result, metric, peer))
        rows.append(row)
    return rows


def _cell(result: Result, broker: str, metric: Metric) -> str:
    values = _values(result, broker, metric)
    if not values:
        return "" if broker == FLOOR and FLOOR not in result.skipped else "-"
    text = spread_text(Spread.of(values), metric.digits, len(values))
    failures = result.failures.get(broker, 0)
    return f"{text}, {failures} failed" if failures else text


def spread_text(spread: Spread, digits: int, count: int) -> str:
    """`median (smallest-largest)`."""
    if count < 2:
        return f"{spread.median:,.{digits}f}"
    return f"{spread.median:,.{digits}f} ({spread.smallest:,.{digits}f}-{spread.largest:,.{digits}f})"


def _ratio_cell(result: Result, metric: Metric, peer: str) -> str:
    if metric.aim is not None:
        return ""
    found = ratio(_values(result, OTTLA, metric), _values(result, peer, metric))
    return (
        "-"
        if found is None
        else spread_text(found, 2, min(len(_values(result, each, metric)) for each in (OTTLA, peer)))
    )


def _aim(result: Result, metric: Metric, peer: str | None) -> str:
    """The aim for the ratio, and whether it is met."""
    aim = result.aims.get(metric.name)
    if aim is None:
        return ""
    theirs = _values(result, peer, metric) if peer else []
    found = ratio(_values(result, OTTLA, metric), theirs)
    if found is None:
        return _aim_text(aim, metric)
    if meets(found.median, aim, metric):
        return f"{_aim_text(aim, metric)} met"
    floor = _values(result, FLOOR, metric)
    if floor and is_beyond(aim, theirs, floor, metric) and not is_better(_values(result, OTTLA, metric), floor, metric):
        return f"{_aim_text(aim, metric)} {'below' if metric.better is Better.LESS else 'beyond'} the floor"
    if found.median >= 1 and is_beyond_client(result, metric, aim, theirs):
        return f"{_aim_text(aim, metric)} beyond the client"
    return f"{_aim_text(aim, metric)} missed"


def is_beyond_client(result: Result, metric: Metric, aim: float, theirs: Sequence[float]) -> bool:
    """Whether so many times the peer's rate is more than the client has time for, whoever answers it.

    The time it needs for a record is that of the rounds, brokers' and floor's, in which it needed least.
    """
    could = [
        statistics.median(rates)
        for each in result.values
        if (rates := [rate * 100 / busy for rate, busy in _rates_and_busy(result, each, metric)])
    ]
    return bool(could) and statistics.median(theirs) * aim > max(could)


def _rates_and_busy(result: Result, name: str, metric: Metric) -> list[tuple[float, float]]:
    busy = result.values[name].get(metric.client_busy or "", [])
    return [(rate, share) for rate, share in zip(_values(result, name, metric), busy, strict=False) if share]


def _own_aim(result: Result, metric: Metric, brokers: Sequence[str]) -> str:
    """A metric's own aim, and whether it is met against every broker, or which it is missed against."""
    assert metric.aim is not None
    medians = {each: Spread.of(values).median for each in brokers if (values := _values(result, each, metric))}
    text = _aim_text(metric.aim, metric)
    if not medians:
        return text
    missed = [each for each, median in medians.items() if not meets(median, metric.aim, metric)]
    if len(missed) in (0, len(medians)):
        return f"{text} {'missed' if missed else 'met'}"
    return f"{text} missed with {', '.join(missed)}"


def _values(result: Result, name: str, metric: Metric) -> list[float]:
    return result.values.get(name, {}).get(metric.name, [])


def is_beyond(aim: float, theirs: Sequence[float], floor: Sequence[float], metric: Metric) -> bool:
    """Whether so many times the peer's figure is better than what was measured where no broker answers at all."""
    return is_better([each * aim for each in theirs], floor, metric)


def is_better(these: Sequence[float], those: Sequence[float], metric: Metric) -> bool:
    """Whether the one median is, and not as good."""
    mine, other = Spread.of(these).median, Spread.of(those).median
    return mine != other and meets(mine, other, metric)


def _aim_text(aim: float, metric: Metric) -> str:
    return f"{'>=' if metric.better is Better.MORE else '<='} {aim:g}"


def meets(found: float, aim: float, metric: Metric) -> bool:
    """Whether a figure, or a ratio, is as good as aimed for."""
    return found >= aim if metric.better is Better.MORE else found <= aim


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
