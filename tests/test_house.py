"""The house itself: what a wheel holds, which way the arrows point, that the documents tell the truth."""

from __future__ import annotations

import ast
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import ottla
import pytest
from ottla.broker.settings import BROKER_SETTINGS, TOPIC_SETTINGS

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES: list[str] = PROJECT["tool"]["setuptools"]["packages"]

# Who may import whom.  `cli` and the root put things together, so they may import all.
ARROWS = {
    "protocol": set[str](),
    "storage": {"protocol"},
    "broker": {"storage", "protocol"},
    "client": {"protocol"},
    "cli": {"client", "broker", "storage", "protocol", ""},
    "testing": set[str](),
}


def folder_of(package: str) -> Path:
    return ROOT.joinpath(*package.split(".")[1:])


def modules_of(package: str) -> list[Path]:
    return sorted(folder_of(package).glob("*.py"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel built from a copy of the tree, so that nothing is left behind in it."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for package in PACKAGES:
        folder = source.joinpath(*package.split(".")[1:])
        folder.mkdir(parents=True, exist_ok=True)
        for module in modules_of(package):
            shutil.copy(module, folder)
    for name in ("pyproject.toml", "README.md", "LICENSE", "py.typed"):
        shutil.copy(ROOT / name, source)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        target,
        source,
    ]
    subprocess.run(command, check=True, capture_output=True, text=True)
    (built,) = target.glob("*.whl")
    return zipfile.ZipFile(built)


def test_every_folder_of_ours_with_modules_is_a_package_of_the_wheel() -> None:
    folders = {path.parent for top in ARROWS for path in (ROOT / top).rglob("*.py")}

    assert {folder_of(package) for package in PACKAGES} == {*folders, ROOT}


def test_the_wheel_holds_every_module_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    modules = {f"{package.replace('.', '/')}/{each.name}" for package in PACKAGES for each in modules_of(package)}

    shipped = {name for name in wheel.namelist() if not name.split("/")[0].endswith(".dist-info")}

    assert shipped == modules | {"ottla/py.typed"}


def test_the_wheel_tells_its_licence_and_its_command(wheel: zipfile.ZipFile) -> None:
    about = f"ottla-{ottla.__version__}.dist-info"

    assert "License-Expression: Apache-2.0" in wheel.read(f"{about}/METADATA").decode()
    assert "Apache License" in wheel.read(f"{about}/licenses/LICENSE").decode()
    assert "ottla = ottla.__main__:main" in wheel.read(f"{about}/entry_points.txt").decode()


def test_the_version_is_told_the_same_everywhere() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    assert PROJECT["project"]["version"] == ottla.__version__
    assert "## [Unreleased]" in changelog or f"## [{ottla.__version__}]" in changelog


def imports_of(module: Path) -> Iterator[str]:
    """The top-level folders of ours that a module imports; "" is the root itself."""
    depth = len(module.relative_to(ROOT).parts)
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == depth:
            yield from [node.module.split(".")[0]] if node.module else [""]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield from ["absolute"] if node.module.split(".")[0] == "ottla" else []
        elif isinstance(node, ast.Import):
            yield from ["absolute" for name in node.names if name.name.split(".")[0] == "ottla"]


@pytest.mark.parametrize("folder", ARROWS)
def test_the_arrows_between_the_folders_point_one_way(folder: str) -> None:
    wrong = {
        (str(module.relative_to(ROOT)), imported)
        for module in (ROOT / folder).rglob("*.py")
        for imported in imports_of(module)
        if imported not in ARROWS[folder] | {folder} and (folder, imported) != ("client", "")
    }

    assert wrong == set()


def test_nothing_below_the_broker_is_asynchronous() -> None:
    waits = [
        str(module.relative_to(ROOT))
        for folder in ("protocol", "storage")
        for module in (ROOT / folder).rglob("*.py")
        if re.search(r"^\s*(async def|import asyncio|from asyncio)", module.read_text(encoding="utf-8"), re.MULTILINE)
    ]

    assert waits == []


NOT_TO_SERVE = {"rich", "typer", "hypothesis", "pydantic", "crc32c"}


def test_serving_imports_neither_the_client_nor_what_only_other_commands_need() -> None:
    script = "import sys, ottla.cli.running, ottla.cli.quick_serve, ottla.cli.serving; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()

    assert "ottla.broker.app" in loaded
    assert [name for name in loaded if name.split(".")[0] in NOT_TO_SERVE or name.startswith("ottla.client.")] == []
    assert "ottla.broker.coordination" not in loaded


def test_dataclasses_are_made_the_quick_way() -> None:
    slow = [
        str(module.relative_to(ROOT))
        for folder in ARROWS
        for module in (ROOT / folder).rglob("*.py")
        if re.search(
            r"^from dataclasses import .*\b(dataclass|field)\b", module.read_text(encoding="utf-8"), re.MULTILINE
        )
    ]

    assert slow == ["protocol/values.py"], "take them from protocol/values, for the sake of the start"


def test_the_page_on_parity_is_what_the_tables_say() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "write_kafka_parity.py"))["page"]()

    assert (ROOT / "docs" / "kafka-parity.md").read_text(encoding="utf-8") == page, "run `make docs`"


def test_a_setting_that_is_said_to_act_is_read_somewhere() -> None:
    tables = {"broker_settings.py", "topic_settings.py", "kafka_settings.py"}
    code = "".join(
        module.read_text(encoding="utf-8") for module in (ROOT / "broker").rglob("*.py") if module.name not in tables
    )
    behind_topics = {name for topic in TOPIC_SETTINGS.values() for name in topic.synonyms}
    acting = {name for name, setting in BROKER_SETTINGS.items() if setting.acts} - behind_topics

    assert [name for name in sorted(acting) if f'"{name}"' not in code] == []


def test_the_page_on_what_works_is_what_the_interop_tests_noted() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "write_works_with.py"))["page"]()

    assert (ROOT / "docs" / "works-with.md").read_text(encoding="utf-8") == page, "run `make works-with`"
