"""Runs of pytest of their own, in projects of others, which have nothing but Ottla."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .broker import environment


def run_pytest(project: Path) -> subprocess.CompletedProcess[str]:
    """Run the tests in this folder; what they print is shown, and a warning is a failure."""
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "-W", "error"]
    return subprocess.run(
        command, cwd=project, capture_output=True, text=True, timeout=100, check=False, env=environment()
    )
