"""A wheel carries every file that the installed program reads: no new folder of data is forgotten."""

import tomllib
from pathlib import Path

import pytest
from setuptools import Distribution
from setuptools.command.build_py import build_py

import tunesmith
from tunesmith.export.targets.web import OWN, RUNTIME

PACKAGE = Path(tunesmith.__file__).parent
ROOT = PACKAGE.parents[1]
NODE = PACKAGE / "export/web/node_modules"


@pytest.fixture(scope="module")
def carried() -> set[str]:
    """The files beside the modules that setuptools would put into a wheel."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    command = build_py(Distribution({"name": "tunesmith", "packages": ["tunesmith"], "package_data": told}))
    command.finalize_options()
    command.manifest_files = {}  # of a source distribution: there is none
    found = command.find_data_files("tunesmith", str(PACKAGE))
    return {Path(file).relative_to(PACKAGE).as_posix() for file in found}


def test_every_file_beside_the_modules_is_carried(carried):
    """Apart from hidden ones, and from what `make setup-web` fetches."""
    made = {"__pycache__", "node_modules"}
    there = {
        file.relative_to(PACKAGE).as_posix()
        for file in PACKAGE.rglob("*")
        if file.is_file()
        and file.suffix != ".py"
        and not made & set(file.relative_to(PACKAGE).parts)
        and not file.name.startswith(".")
    }
    assert {"serve/page/words/zh.js", "locale/zh/core.json", "models/nano/weights/model.safetensors"} <= there
    assert there - carried == set()
    assert {f"export/web/{name}" for name in OWN} <= carried


def test_the_runtime_of_the_page_is_carried_and_nothing_else_of_its_packages(carried):
    if not NODE.exists():
        pytest.skip("the runtime for browsers is not installed: make setup-web")
    inside = {name.removeprefix("export/web/node_modules/") for name in carried if "node_modules" in name}
    assert set(RUNTIME.values()) <= inside
    assert {Path(name).parts[0] for name in inside} == {"@huggingface", "@wllama"}
    assert len(inside) < len(RUNTIME) + 8
