"""Every family of scenarios, and where its golden file lies."""

import importlib
from pathlib import Path

from support.scenarios import Family

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"


def families() -> dict[str, Family]:
    found: dict[str, Family] = {}
    for file in sorted((HERE / "scenarios").glob("*.py")):
        module = importlib.import_module(f"wire.scenarios.{file.stem}")
        for value in vars(module).values():
            for family in value if isinstance(value, list) else [value]:
                if isinstance(family, Family):
                    assert family.name not in found or found[family.name] is family
                    found[family.name] = family
    return found


def golden_file(family: str) -> Path:
    return GOLDEN / f"{family}.json"
