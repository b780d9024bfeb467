"""tunesmith doctor: what this machine and installation can do, measured."""

import os
import platform
import shutil
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from tunesmith.cli.console import emit
from tunesmith.messages import tr

EXAMPLES = tr("Example: tunesmith doctor --json")
PACKAGES = ("torch", "transformers", "tokenizers", "peft", "safetensors", "numpy", "pyarrow", "sentencepiece")
BREAKING = ("torchvision", "torchaudio", "torchcodec")  # beside a CPU build of torch they break transformers' imports


def doctor(json: Annotated[bool, typer.Option("--json", help=tr("Print one JSON object on stdout."))] = False) -> None:
    found: dict[str, Any] = {"machine": machine(), "packages": versions(), "torch": torch_facts(), "checks": checks()}
    if json:
        emit(found)
    else:
        show(found)
    if not all(check["passed"] for check in found["checks"]):
        raise typer.Exit(2)


def machine() -> dict[str, Any]:
    """Cores that this process may use, memory and free disk in bytes."""
    return {
        "system": platform.platform(),
        "python": sys.version.split()[0],
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "free_disk": shutil.disk_usage(Path.cwd()).free,
    }


def versions() -> dict[str, str | None]:
    """Installed version of each package; None where it is missing."""
    found: dict[str, str | None] = {}
    for package in ("tunesmith", *PACKAGES):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found


def torch_facts() -> dict[str, Any]:
    """Device, threads, and GFLOP/s of a matrix product in fp32 and bf16, measured now."""
    import torch

    from tunesmith.models.operations import peak

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "gflops_fp32": round(peak("fp32", device) / 1e9),
        "gflops_bf16": round(peak("bf16", device) / 1e9),
    }


def checks() -> list[dict[str, Any]]:
    """What must hold, each with its verdict and cure."""
    from tunesmith.models import nano

    installed = [package for package in BREAKING if find_spec(package)]
    missing = [package for package, version in versions().items() if version is None]
    free = shutil.disk_usage(Path.cwd()).free
    return [
        check("packages", not missing, ", ".join(missing) or tr("all there"), "pip install tunesmith"),
        check(
            "no torchvision beside CPU torch",
            not installed or has_gpu(),
            ", ".join(installed) or tr("none"),
            "pip uninstall " + " ".join(installed),
        ),
        check(
            "embedded base",
            (nano.path() / "model.safetensors").is_file(),
            str(nano.path()),
            "pip install --force-reinstall tunesmith",
        ),
        check("disk", free > 2e9, tr("{free} GB free", free=f"{free / 1e9:.1f}"), tr("make room: checkpoints need it")),
    ]


def check(name: str, passed: bool, detail: str, cure: str) -> dict[str, Any]:
    return {"name": name, "passed": passed, "detail": detail, "cure": "" if passed else cure}


def has_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def show(found: dict[str, Any]) -> None:
    for part in ("machine", "packages", "torch"):
        for key, value in found[part].items():
            typer.echo(f"{key:14} {value}")
    for item in found["checks"]:
        cure = f" → {item['cure']}" if item["cure"] else ""
        typer.echo(f"{'✓' if item['passed'] else '✗'} {item['name']}: {item['detail']}{cure}")


doctor.__doc__ = tr("Tell what this machine and installation can do, and what is amiss.")
