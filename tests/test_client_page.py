"""Every example of docs/client.md runs, against a real broker, as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.broker import BrokerProcess, environment

PAGE = (Path(__file__).parent.parent / "docs" / "client.md").read_text(encoding="utf-8")
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
