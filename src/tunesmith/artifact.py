"""Folders that are written whole or not at all, and say where they came from."""

import hashlib
import json
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

from tunesmith.errors import UserError

MANIFEST = "manifest.json"


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path` that becomes `path` only when the block ends well.

    Raises UserError if `path` already holds something: results are never overwritten.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(f"{path} already exists", "choose another --out, or remove it first")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield temporary
        sync_tree(temporary)
        if path.exists():
            path.rmdir()
        temporary.chmod(0o755)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sync_tree(folder: Path) -> None:
    """Flush every file below `folder` to disk, so that a later rename never exposes a half-written one."""
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Write under a temporary name, fsync, rename when the block ends well: readers see the old file or the new one.

    Two processes may write one path at once, even where containers give both the same number.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with temporary.open("wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write the file whole or not at all."""
    with whole_file(path) as handle:
        handle.write(content)


def write_text(path: Path, text: str) -> None:
    """`write_bytes` in UTF-8."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def hash_file(path: Path) -> str:
    """sha256 of a file's content."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def hash_path(path: Path) -> str:
    """sha256 of a file, or of the names and contents of all files in a folder."""
    if path.is_file():
        return hash_file(path)
    digest = hashlib.sha256()
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        digest.update(f"{file.relative_to(path)}\0{hash_file(file)}\n".encode())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide what a run computes."""
    found = {"python": sys.version.split()[0]}
    for package in ("tunesmith", "torch", "transformers", "tokenizers", "peft", "bitsandbytes", "numpy"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found
