"""What docs/porting.md promises to those who come from another client is there: every name, and every keyword of a call."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ottla
import pytest

PAGE = (Path(__file__).parent.parent / "docs" / "porting.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
ROWS = re.findall(r"^\| (`.*) \| (.*) \|$", PAGE, re.MULTILINE)
STATEMENTS = {"with", "async with"}


def known_names() -> dict[str, Any]:
    """What a name in the table may mean: of the package, of a consumer, of what it is made with, of a record or a listener."""
    parameters = inspect.signature(ottla.Consumer).parameters
    consumer = {name: getattr(ottla.Consumer, name) for name in dir(ottla.Consumer) if not name.startswith("_")}
    listener = {name: None for name in dir(ottla.RebalanceListener) if name.startswith("on_")}
    package = {name: getattr(ottla, name) for name in dir(ottla) if name[0].isupper()}
    others = {
        "record": ottla.ConsumerRecord,
        "code": None,
        "partition": None,
        "t": None,
        "p": None,
        "asyncio": None,
        "ottla": None,
    }
    return {**dict.fromkeys(parameters), **listener, **others, **consumer, **package}


NAMES = known_names()


def spans(cell: str) -> list[str]:
    """What stands in backquotes, with the value of a setting that is left out in its place."""
    found = [each.replace("…", "...") for each in re.findall(r"`([^`]+)`", cell)]
    return [f"record{each}" if each.startswith(".") else each for each in found if each not in STATEMENTS]


def unknown_in(code: str) -> Iterator[str]:
    """Names and keywords in an expression that are not there."""
    is_setting = re.match(r"\w+=[^=]", code) is not None
    tree = ast.parse(f"Consumer({code})" if is_setting else code, mode="eval")
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id not in NAMES:
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "record":
            if not hasattr(ottla.ConsumerRecord, node.attr):
                yield f"record.{node.attr}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            called = NAMES.get(node.func.id)
            taken = set(inspect.signature(called).parameters) if called is not None else set()
            yield from (f"{node.func.id}({each.arg}=)" for each in node.keywords if each.arg not in taken)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_runs(example: str) -> None:
    exec(compile(example, "docs/porting.md", "exec"), {})


@pytest.mark.parametrize(("theirs", "here"), ROWS)
def test_what_a_row_says_of_this_client_is_there(theirs: str, here: str) -> None:
    assert [name for code in spans(here) for name in unknown_in(code)] == []
    if here.startswith("the same"):
        for code in spans(theirs):
            is_family = code.endswith("*")
            name = re.split(r"[(*]", code)[0] if " in " not in code else "async for"
            is_there = name in NAMES or name in ("async for", "AIOKafkaConsumer", "...")
            assert is_there or (is_family and any(each.startswith(name) for each in NAMES)), name


def test_the_page_has_rows_and_examples() -> None:
    assert len(ROWS) > 30
    assert len(EXAMPLES) == 2
