"""A million events, a group of three, and a broker that is killed in the middle.  `make demo` runs it.

    a broker of its own  <--  a producer sends the events of a shop's day       (feed, a process)
            |            -->  three consumers of one group read them            (member, three processes)
            |
         kill -9 when half of the events are acknowledged; soon after it is started again on the same folder

Nobody is told.  Producer and consumers get through it by themselves, with default settings; at the end the log is read once
more, and compared with what was sent (check).  The exit code is 0 only when every event arrived.

Ctrl-C ends all of it: children are killed, the broker is stopped, its folder is removed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent)]  # the examples are files, not a package

from check import LogCheck, Verdict, judge, read_log  # noqa: E402
from ottla import Admin, KafkaError  # noqa: E402
from ottla.client.admin import NewTopic  # noqa: E402
from own_broker import OwnBroker  # noqa: E402
from progress import FeedProgress, MemberProgress, Progress  # noqa: E402
from rich.console import Console  # noqa: E402
from view import View  # noqa: E402
from worker import Worker, WorkerFailed, tail  # noqa: E402

T = TypeVar("T")
TOPIC, GROUP, MEMBERS, PARTITIONS = "shop-events", "shop", ("anna", "bert", "cora"), 6
SEED = 7
LOOK_S = 0.1
MEMORY_EVERY_S = 1.0
INTERRUPTED = 130


class Stalled(Exception):
    """Nothing moved for so long that it will not end well; the text says what was waited for."""


class Demo:
    """The steps, in order, and what watches over all of them."""

    def __init__(self, arguments: argparse.Namespace, folder: Path, console: Console) -> None:
        self._arguments = arguments
        self._folder = folder
        self._broker = OwnBroker(folder)
        self._view = View(console)
        self._began_s = self._memory_s = time.monotonic()
        members = [MemberProgress(name) for name in MEMBERS]
        self._progress = Progress(arguments.events, FeedProgress([0] * PARTITIONS), members, [0] * PARTITIONS)
        self._feed = Worker("feed", folder, self._progress.feed.told)
        self._members = [Worker(each.name, folder, self._hears(each)) for each in members]
        self._places, self._seen = folder / "places", [folder / f"{name}.seen" for name in MEMBERS]
        self.facts: dict[str, object] = {}

    def _hears(self, member: MemberProgress) -> Callable[[dict[str, object]], None]:
        return lambda report: self._progress.member_told(member, report)

    async def run(self) -> Verdict:
        """WorkerFailed, Stalled, RuntimeError when it could not be brought to its end."""
        try:
            with self._view:
                return await self._steps()
        finally:
            for worker in (self._feed, *self._members):
                await worker.kill()
            await asyncio.to_thread(self.stop_broker)

    def stop_broker(self) -> None:
        self._broker.stop()

    async def _steps(self) -> Verdict:
        await self._start_broker()
        await self._start_group()
        await self._start_feed()
        await self._kill_in_the_middle()
        await self._until(lambda: self._progress.feed.is_done, "for the producer to end")
        self._happened("all events are acknowledged")
        await self._until(lambda: self._progress.has_arrived, "for the group to read the rest")
        self._happened("the group has read up to the end")
        await self._watch(asyncio.gather(*(each.end() for each in (self._feed, *self._members))))
        return await self._check()

    async def _start_broker(self) -> None:
        await self._watch(asyncio.to_thread(self._broker.start))
        self._progress.broker.state = "alive"
        async with Admin(self._broker.bootstrap) as admin:
            outcome = (await admin.create_topics([NewTopic(TOPIC, partitions=PARTITIONS)]))[TOPIC]
        if isinstance(outcome, KafkaError):
            raise outcome
        self._happened(f"the broker listens on {self._broker.bootstrap}")

    async def _start_group(self) -> None:
        for name, member, seen in zip(MEMBERS, self._members, self._seen, strict=True):
            await member.start(
                HERE / "member.py",
                f"--bootstrap={self._broker.bootstrap}",
                f"--topic={TOPIC}",
                f"--group={GROUP}",
                f"--group-protocol={self._arguments.group_protocol}",
                f"--name={name}",
                f"--events={self._arguments.events}",
                f"--seen={seen}",
            )
        await self._until(lambda: self._progress.is_assigned, "for the group to share the partitions")
        self._happened("the group has shared the partitions")

    async def _start_feed(self) -> None:
        await self._feed.start(
            HERE / "feed.py",
            f"--bootstrap={self._broker.bootstrap}",
            f"--topic={TOPIC}",
            f"--partitions={PARTITIONS}",
            f"--events={self._arguments.events}",
            f"--seed={SEED}",
            f"--rate={self._arguments.rate}",
            f"--places={self._places}",
        )

    async def _kill_in_the_middle(self) -> None:
        feed, broker = self._progress.feed, self._progress.broker
        await self._until(lambda: feed.acknowledged >= self._arguments.events / 2, "for the middle")
        self._broker.kill()
        broker.state, broker.memory_bytes = "killed", None
        self._happened(f"kill -9; {feed.acknowledged:,} events were acknowledged")
        self.facts["acknowledged at the kill"] = feed.acknowledged
        await self._watch(asyncio.sleep(self._arguments.down))
        broker.state, again_s = "starting", time.monotonic()
        await self._watch(asyncio.to_thread(self._broker.start))
        broker.state, broker.restart_s = "alive", time.monotonic() - again_s
        self.facts["restart in s"] = round(broker.restart_s, 3)
        self._happened(f"the broker is back, {broker.restart_s:.2f} s after it was started again")
        before = feed.acknowledged
        await self._until(lambda: feed.acknowledged > before or feed.is_done, "for the producer to go on")
        self._happened("the producer goes on")

    async def _check(self) -> Verdict:
        places = array("q")
        places.frombytes(self._places.read_bytes())
        log = LogCheck(self._arguments.events, PARTITIONS, places)

        def show(records: int) -> None:
            self._progress.checked = records

        await self._watch(read_log(self._broker.bootstrap, TOPIC, log, show))
        self._progress.checked = None
        self._show()
        return judge(log, [each.read_bytes() for each in self._seen], records=self._progress.records)

    # -- watching

    def _happened(self, what: str) -> None:
        self._show()
        self._progress.happened(what)
        self._show()

    def _show(self) -> None:
        now_s = time.monotonic()
        self._progress.sample(now_s - self._began_s)
        if now_s - self._memory_s >= MEMORY_EVERY_S:
            self._memory_s = now_s
            self._progress.broker.memory_bytes = _memory_bytes(self._broker.pid)
        self._view.show(self._progress)

    async def _until(self, is_so: Callable[[], bool], what: str) -> None:
        """Look until it is so.  Stalled when nothing moved for `--patience` seconds."""
        moved_s, before = time.monotonic(), -1
        while not is_so():
            await self._look()
            moved = self._progress.feed.acknowledged + self._progress.records
            if moved != before:
                moved_s, before = time.monotonic(), moved
            elif time.monotonic() - moved_s > self._arguments.patience:
                raise Stalled(f"waited {self._arguments.patience} s {what}, and nothing moved")

    async def _watch(self, work: asyncio.Future[T] | Coroutine[Any, Any, T]) -> T:
        """Go on showing while the work is done."""
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                await self._look()
        finally:
            task.cancel()
        return task.result()

    async def _look(self) -> None:
        await asyncio.sleep(LOOK_S)
        for each in (self._feed, *self._members):
            each.check()
        if self._progress.broker.state == "alive" and self._broker.pid is None:
            raise WorkerFailed(f"the broker ended by itself\n{tail(self._folder / 'broker.log')}")
        self._show()


def _memory_bytes(pid: int | None) -> int | None:
    """Resident; None where it cannot be had."""
    if pid is None:
        return None
    with suppress(OSError, ValueError):
        done = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return int(done.stdout) * 1024
    return None


def told(verdict: Verdict, elapsed_s: float) -> str:
    """The verdict, for a person."""
    wrong = {
        "missing": verdict.missing_in_log,
        "doubled": verdict.doubled_in_log,
        "that nobody sent": verdict.foreign_in_log,
        "elsewhere than acknowledged": verdict.elsewhere_in_log,
        "out of order for their user": verdict.out_of_order_in_log,
    }
    found = [f"{count:,} {what}" for what, count in wrong.items() if count]
    in_log = ", ".join(found) or "each exactly once, where it was acknowledged, in order for its user"
    in_group = f"{verdict.missing_in_group:,} missing, {verdict.read_again:,} read more than once"
    arrived = "Every event arrived" if verdict.is_good else "NOT every event arrived"
    return "\n".join(
        (
            f"{_mark(verdict.acknowledged == verdict.events)} producer: {verdict.acknowledged:,} acknowledged",
            f"{_mark(verdict.is_in_log_exactly_once)} log: {in_log}",
            f"{_mark(verdict.missing_in_group == 0)} group: {in_group}",
            f"{arrived}, in {elapsed_s:,.1f} s.",
        )
    )


def _mark(is_good: bool) -> str:
    return "ok  " if is_good else "BAD "


async def run(demo: Demo) -> Verdict:
    """Run it; the first signal to end cancels it, later ones wait for that to be over."""
    task = asyncio.current_task()
    assert task is not None, "inside of it"
    is_cancelled = False

    def cancel() -> None:
        nonlocal is_cancelled
        if not is_cancelled:
            is_cancelled = True
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, cancel)
    return await demo.run()


def main() -> int:
    arguments = parse()
    folder = Path(tempfile.mkdtemp(prefix="ottla-demo-"))
    demo = Demo(arguments, folder, Console())
    began_s = time.monotonic()
    try:
        verdict = asyncio.run(run(demo))
    except asyncio.CancelledError:
        print("Interrupted; everything was stopped and removed.")
        return INTERRUPTED
    except (WorkerFailed, Stalled, KafkaError, RuntimeError, TimeoutError) as error:
        print(f"NOT brought to its end: {error}\n{tail(folder / 'broker.log')}", file=sys.stderr)
        return 1
    finally:
        demo.stop_broker()  # once more: no thread is left now that could have been about to start it
        if not arguments.keep:
            shutil.rmtree(folder)
    elapsed_s = time.monotonic() - began_s
    print(told(verdict, elapsed_s))
    if arguments.keep:
        print(f"The broker's folder, and what everybody said, is in {folder}")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({**demo.facts, **asdict(verdict), "took s": round(elapsed_s, 1)}))
    return 0 if verdict.is_good else 1


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="A group of three reads a million events; the broker is killed in the middle."
    )
    parser.add_argument("--events", type=_positive, default=1_000_000, metavar="N", help="how many (1000000)")
    parser.add_argument("--rate", type=int, default=0, metavar="N", help="at most so many a second (as fast as can be)")
    parser.add_argument(
        "--group-protocol",
        choices=["classic", "consumer"],
        default="classic",
        help="consumer: the broker assigns (KIP-848)",
    )
    parser.add_argument(
        "--patience", type=int, default=120, metavar="S", help="give up when nothing moves for so long (120)"
    )
    parser.add_argument("--down", type=float, default=2.0, metavar="S", help="how long the broker stays dead (2)")
    parser.add_argument("--keep", action="store_true", help="leave the broker's folder, and say where it is")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    return parser.parse_args()


def _positive(given: str) -> int:
    number = int(given)
    if number < 1:
        raise ValueError
    return number


if __name__ == "__main__":
    sys.exit(main())
