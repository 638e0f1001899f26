"""kill -9 at any moment: nothing acknowledged is gone, nothing is there twice, and the topics are what they were.

python -m pytest tests/crash/test_kill.py                                  8 kills, in CI
OTTLA_HEAVY=1 python -m pytest -s tests/crash/test_kill.py                 200 kills and more, a few minutes
OTTLA_CRASH_SEED=7 OTTLA_CRASH_KILLS=50 python -m pytest -s tests/crash/test_kill.py
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from crash.rounds import BROKER_SETTINGS, Rounds
from support.broker import BrokerProcess

HEAVY = os.environ.get("OTTLA_HEAVY") == "1"
KILLS = int(os.environ.get("OTTLA_CRASH_KILLS", "200" if HEAVY else "8"))
EVERYTHING_EVERY = 25 if KILLS >= 50 else 4
CLEAN_STOP_EVERY = 40

pytestmark = [pytest.mark.crash, pytest.mark.timeout(120 + 8 * KILLS)]


def test_nothing_acknowledged_is_lost_however_often_the_broker_is_killed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("OTTLA_CRASH_SEED") or random.randrange(1_000_000))
    print(f"seed {seed}")
    with Rounds(BrokerProcess(tmp_path, BROKER_SETTINGS), seed=seed) as rounds:
        turn = 0
        while rounds.summary.kills < KILLS:
            turn += 1
            if turn % CLEAN_STOP_EVERY == 0:
                rounds.stop_and_verify()
            else:
                rounds.kill_and_verify(everything=turn % EVERYTHING_EVERY == 0)
        summary = rounds.finish()
    with capsys.disabled():
        print(f"\n{summary}")
    assert summary.acknowledged > 20 * KILLS
    assert summary.lost == summary.duplicated == 0
