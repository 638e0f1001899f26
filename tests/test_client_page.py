"""Every example of docs/client.md runs, against a real broker, as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.broker import BrokerProcess, environment

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    with BrokerProcess(tmp_path_factory.mktemp("broker"), {"num.partitions": "3"}) as running:
        yield running


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_example_runs(broker: BrokerProcess, number: int) -> None:
    script = EXAMPLES[number].replace("localhost:9092", broker.bootstrap)

    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=60, env=environment()
    )

    assert (ran.returncode, ran.stderr) == (0, "")


def test_a_strict_type_checker_has_nothing_to_say_of_the_examples(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "ottla").symlink_to(ROOT, target_is_directory=True)
    pages = [tmp_path / f"example_{number}.py" for number in range(len(EXAMPLES))]
    for page, example in zip(pages, EXAMPLES, strict=True):
        page.write_text(example, encoding="utf-8")

    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", *map(str, pages)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(sources)},
    )

    assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout
