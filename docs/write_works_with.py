"""Writes docs/works-with.md from what the interop tests noted (tests/interop/works_with.json).

make works-with      runs the tests, notes, writes
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NOTES = HERE.parent / "tests" / "interop" / "works_with.json"
PAGE = HERE / "works-with.md"

OPENING = """\
# What works with Ottla

Clients, tools and frameworks that others wrote, unmodified, against a broker with default settings. The page is written
from the results of the tests in `tests/interop` (`make works-with`); each line below a heading is a test, by its name.

"""


def page() -> str:
    """The whole page."""
    notes: dict[str, dict[str, Any]] = json.loads(NOTES.read_text(encoding="utf-8"))
    rows = ["| with | version | passed | failed | skipped |", "| --- | --- | --- | --- | --- |"]
    for name, told in notes.items():
        counts = Counter(outcome.partition(":")[0] for outcome in told["tests"].values())
        numbers = " | ".join(str(counts[each]) for each in ("passed", "failed", "skipped"))
        rows.append(f"| {name} | {told['version']} | {numbers} |")
    parts = [_part(name, told["tests"]) for name, told in notes.items()]
    return OPENING + "\n".join(rows) + "\n\n" + "\n".join(parts)


def _part(name: str, tests: dict[str, str]) -> str:
    """A heading, and a line for each sentence, with what came of its variants."""
    outcomes: dict[str, Counter[str]] = defaultdict(Counter)
    for test, outcome in tests.items():
        outcomes[_sentence(test)][outcome] += 1
    lines = [f"- {sentence}{_told(counts)}" for sentence, counts in sorted(outcomes.items())]
    return f"## {name}\n\n" + "\n".join(lines) + "\n"


def _sentence(test: str) -> str:
    """test_a_topic_is_created[kcat-zstd] -> a topic is created"""
    function = re.sub(r"\[.*", "", test.rpartition("::")[2])
    return function.removeprefix("test_").replace("_", " ")


def _told(counts: Counter[str]) -> str:
    """Nothing when it passed once; else how often, and what else came of it."""
    if list(counts) == ["passed"]:
        return "" if counts["passed"] == 1 else f" ({counts['passed']} variants)"
    return ": " + ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
