"""Every example of docs/testing.md runs under pytest, as it stands there, in a project that has nothing but Ottla."""

from __future__ import annotations

import re
from pathlib import Path

from support.pytest_runs import run_pytest

PAGE = (Path(__file__).parent.parent / "docs" / "testing.md").read_text(encoding="utf-8")
TESTS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
(CONFIGURATION,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_examples_run(tmp_path: Path) -> None:
    for number, test in enumerate(TESTS):
        (tmp_path / f"test_{number}.py").write_text(test, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(CONFIGURATION, encoding="utf-8")

    ran = run_pytest(tmp_path)

    assert f"{len(TESTS)} passed" in ran.stdout, ran.stdout + ran.stderr
