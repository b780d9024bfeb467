"""Run every command that README and docs show ("$ …" in a console block), once, in order; stop at the first failure."""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Each command once, READMEs first."""
    pages = [ROOT / "README.md", ROOT / "README.zh-CN.md", *sorted((ROOT / "docs").rglob("*.md"))]
    found = (
        line[2:]
        for page in pages
        for block in BLOCK.findall(page.read_text(encoding="utf-8"))
        for line in block.splitlines()
        if line.startswith("$ ")
    )
    return list(dict.fromkeys(found))


def run(command: str, folder: Path) -> bool:
    """Run one command; make in the repository, everything else in a scratch folder that has examples/."""
    where = ROOT if command.startswith("make ") else folder
    path = f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    start = time.monotonic()
    done = subprocess.run(
        command, shell=True, cwd=where, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
    )
    print(f"{'ok  ' if done.returncode == 0 else 'FAIL'} {time.monotonic() - start:6.1f} s  {command}", flush=True)
    if done.returncode:
        print(done.stdout[-2000:], done.stderr[-4000:], sep="\n")
    return done.returncode == 0


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "examples").symlink_to(ROOT / "examples")
        return 0 if all(run(command, folder) for command in commands()) else 1


if __name__ == "__main__":
    sys.exit(main())
