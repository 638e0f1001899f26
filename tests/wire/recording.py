"""The golden files: what was asked of Apache Kafka and what it said, byte for byte.

One file per family.  Bytes are hexadecimal, without the length in front of a frame; `said` is the same response
decoded, for people (and for `git diff`), never read back.  `kept` are the values that later steps used, so that
every request can be built again and checked against the bytes that were sent.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from support.scenarios import Exchange, Family, Known
from support.schema import JSON
from wire.normal import Normal


@dataclass(slots=True)
class Recorded:
    """One step's recording."""

    step: str
    request: bytes
    response: bytes | None
    closed: bool


@dataclass(slots=True)
class Golden:
    family: str
    kafka_version: str
    now_ms: int
    port: int
    log_directory: str
    kept: dict[str, JSON]
    scenarios: dict[str, list[Recorded]]
    said: dict[str, list[JSON]]

    @classmethod
    def of(
        cls,
        family: Family,
        known: Known,
        normal: Normal,
        exchanges: list[list[Exchange]],
        *,
        kafka_version: str,
    ) -> Golden:
        named = {scenario.name: told for scenario, told in zip(family.scenarios, exchanges, strict=True)}
        assert len(named) == len(family.scenarios), f"{family.name}: two scenarios of one name"
        lost = [(name, each.step.label, each.lost) for name, told in named.items() for each in told if each.lost]
        assert not lost, lost
        return cls(
            family.name,
            kafka_version,
            known.now_ms,
            normal.port,
            normal.log_directory,
            known.kept,
            {
                name: [Recorded(each.step.label, each.request, each.response, each.closed) for each in told]
                for name, told in named.items()
            },
            {name: [_readable(each.decoded()) for each in told] for name, told in named.items()},
        )

    def write(self, file: Path) -> None:
        file.parent.mkdir(exist_ok=True)
        head = {
            "kafka_version": self.kafka_version,
            "now_ms": self.now_ms,
            "port": self.port,
            "log_directory": self.log_directory,
            "kept": self.kept,
        }
        lines = [f'"family": {json.dumps(self.family)}']
        lines += [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in head.items()]
        lines.append('"scenarios": {\n' + ",\n".join(self._scenario(name) for name in self.scenarios) + "\n}")
        file.write_text("{\n" + ",\n".join(lines) + "\n}\n")

    def _scenario(self, name: str) -> str:
        steps = []
        for recorded, said in zip(self.scenarios[name], self.said[name], strict=True):
            step: dict[str, JSON] = {"step": recorded.step}
            if recorded.closed:
                step["closed"] = True
            elif recorded.response is not None:
                step["said"] = said
            step["request"] = recorded.request.hex()
            if recorded.response is not None:
                step["response"] = recorded.response.hex()
            steps.append("    " + json.dumps(step))
        return f"  {json.dumps(name)}: [\n" + ",\n".join(steps) + "\n  ]"

    @classmethod
    def read(cls, file: Path) -> Golden:
        data = json.loads(file.read_text())
        scenarios = {
            name: [
                Recorded(
                    step["step"],
                    bytes.fromhex(step["request"]),
                    bytes.fromhex(step["response"]) if "response" in step else None,
                    step.get("closed", False),
                )
                for step in steps
            ]
            for name, steps in data["scenarios"].items()
        }
        said = {name: [step.get("said") for step in steps] for name, steps in data["scenarios"].items()}
        head = {name: data[name] for name in ("kafka_version", "now_ms", "port", "log_directory", "kept")}
        return cls(data["family"], **head, scenarios=scenarios, said=said)

    def show(self) -> None:
        for name, steps in self.scenarios.items():
            print(f"== {self.family}: {name}")
            for recorded, said in zip(steps, self.said[name], strict=True):
                outcome = "closed" if recorded.closed else "silence" if recorded.response is None else said
                print(f"   {recorded.step}\n      {outcome}")


def _readable(value: JSON) -> JSON:
    if isinstance(value, dict):
        return {name: _readable(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_readable(each) for each in value]
    return value.hex() if isinstance(value, bytes) else value
