"""CRC-32C, the checksum of record batches: the function of the crc32c package, in hardware where there is any.

The package itself, when imported, looks up its own version among all installed distributions, and imports a command line:
25 ms of a start that takes 200. So its extension module is loaded by itself; where that is not found as expected, the
package is imported like any other.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, cast

Checksum = Callable[[bytes | bytearray | memoryview], int]

_EXTENSION = "crc32c._crc32c"


def _extension_path() -> str | None:
    package = PathFinder.find_spec("crc32c")  # finds, and does not run
    for folder in (package.submodule_search_locations or ()) if package else ():
        for suffix in EXTENSION_SUFFIXES:
            path = os.path.join(folder, "_crc32c" + suffix)
            if os.path.exists(path):
                return path
    return None


def _load() -> Checksum:
    path = _extension_path()
    try:
        module = _load_extension(path) if path else None
    except ImportError:
        module = None
    if module is not None and hasattr(module, "crc32c"):
        return cast(Checksum, cast(Any, module).crc32c)
    from crc32c import crc32c as of_the_package

    return cast(Checksum, of_the_package)


def _load_extension(path: str) -> ModuleType:
    loader = ExtensionFileLoader(_EXTENSION, path)
    module = loader.create_module(ModuleSpec(_EXTENSION, loader, origin=path))
    loader.exec_module(module)
    return module


crc32c: Checksum = _load()
"""The CRC-32C of a buffer, which is not copied."""
