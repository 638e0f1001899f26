"""The command that runs the bank's worker of the Java client, compiled once: a Java machine for each worker is slow enough."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from support.apache_kafka import JVM_FLAGS, class_path

SOURCE = Path(__file__).parent / "BankWorker.java"
COMPILER = (
    "-m",
    "jdk.compiler/com.sun.tools.javac.Main",
)  # there wherever java runs a source file, javac on the PATH or not


def java_worker(classes: Path) -> list[str]:
    """Compiles into `classes`; to the command it returns belong the bootstrap and the worker's number."""
    compilation = ["java", *COMPILER, "-proc:none", "-cp", class_path(), "-d", str(classes), str(SOURCE)]
    subprocess.run(compilation, check=True, timeout=120)
    found_in = f"{classes}{os.pathsep}{class_path()}"
    leaves = f"-Djava.io.tmpdir={classes}"  # what a JVM that is killed leaves goes with the classes
    return ["java", "-Xmx96m", leaves, *JVM_FLAGS, "-cp", found_in, SOURCE.stem]
