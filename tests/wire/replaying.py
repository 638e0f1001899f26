"""Lay a run against the recording: step by step, both made normal first."""

from __future__ import annotations

from collections.abc import Iterator

from support.scenarios import Exchange, Family, Known, Runner, build, kept_from
from support.schema import JSON, SchemaMismatch
from support.wire import decode_response
from wire.normal import Difference, Normal, compare
from wire.recording import Golden, Recorded


def differences(golden: Golden, family: Family, normal: Normal, exchanges: list[list[Exchange]]) -> list[Difference]:
    """Everything that differs, in order."""
    theirs = Normal(golden.port, golden.log_directory, golden.now_ms, cluster_id=None)
    found: list[Difference] = []
    for scenario, told in zip(family.scenarios, exchanges, strict=True):
        theirs.begin()
        normal.begin()
        for recorded, exchange in zip(golden.scenarios[scenario.name], told, strict=True):
            found += (
                Difference(family.name, scenario.name, recorded.step, *parted)
                for parted in _step_differences(recorded, exchange, theirs, normal)
            )
    return found


def _step_differences(
    recorded: Recorded, exchange: Exchange, theirs: Normal, ours: Normal
) -> Iterator[tuple[str, JSON, JSON]]:
    golden = _outcome(exchange, recorded.request, recorded.response, recorded.closed, theirs)
    mine = _outcome(exchange, exchange.request, exchange.response, exchange.closed, ours)
    yield from compare(golden, mine)


def _outcome(exchange: Exchange, request: bytes, response: bytes | None, closed: bool, normal: Normal) -> JSON:
    step = exchange.step
    if closed or response is None or step.api is None:
        return "(closed)" if closed else "(silence)" if response is None else response.hex()
    try:
        correlation_id, message = decode_response(step.api, step.version, response)
    except (SchemaMismatch, UnicodeDecodeError, AssertionError) as mismatch:
        return f"(unreadable: {mismatch})"
    said = normal.response(step.api, message, request=request, notes=step.notes)
    return {"correlation_id": correlation_id, **said}


def requests_that_drifted(golden: Golden, family: Family) -> list[str]:
    """Steps whose request no longer builds to the recorded bytes: record again."""
    drifted: list[str] = []
    known = Known(golden.now_ms)
    for scenario in family.scenarios:
        recorded = golden.scenarios.get(scenario.name, [])
        if [step.label for step in scenario.steps] != [each.step for each in recorded]:
            drifted.append(f"{scenario.name}: other steps")
            continue
        for number, (step, each) in enumerate(zip(scenario.steps, recorded, strict=True), start=1):
            if build(step, known, number) != each.request:
                drifted.append(f"{scenario.name}: {step.label}")
            known.kept.update(kept_from(Exchange(step, each.request, each.response, each.closed)))
    return drifted


def run(family: Family, golden: Golden, runner: Runner) -> list[list[Exchange]]:
    return [runner.run(scenario, fallback=golden.kept) for scenario in family.scenarios]
