"""How answers are shown: a table on a terminal, tab-separated lines in a pipe, JSON when asked.

A pipe gets no heading and no padding, so that `cut`, `awk` and `while read` work without tricks.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence


def show_rows(headings: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Sequence[str] = ()) -> None:
    """Print rows; `numbers` names the columns that are right-aligned in a table.  A table leaves out empty columns."""
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in cells:
            print("\t".join(row))
        return
    filled = [at for at in range(len(headings)) if not cells or any(row[at] for row in cells)]
    _show_table([headings[at] for at in filled], [[row[at] for at in filled] for row in cells], numbers)


def _show_table(headings: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[str]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right" if heading in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))  # Text, because what stands in brackets is no markup here.
    Console().print(table)


def show_json(value: object) -> None:
    """Print one JSON value: indented on a terminal, one line in a pipe."""
    print(json.dumps(value, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))
