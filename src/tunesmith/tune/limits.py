"""Memory that the system grants this process: the limits of the control groups (Linux) that it is in.

A group's limit holds for all groups below it, so that of every ancestor counts. In a container the groups above its
own are mostly hidden, and its own may stand at the root of the tree; what cannot be found there limits nothing.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

TREE, OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def left() -> list[int]:
    """Bytes that each group with a limit still has."""
    found = []
    for limit, usage in groups():
        if limit.exists() and usage.exists() and (most := limit.read_text().strip()) != "max":
            found.append(int(most) - int(usage.read_text()) + given_back(limit.parent / "memory.stat"))
    return found


def given_back(stat: Path) -> int:
    """Bytes of the usage that the system takes back when they are wanted: copies of files, the base's among them."""
    told = dict(line.split(" ", 1) for line in stat.read_text().splitlines()) if stat.exists() else {}
    return int(told.get("total_inactive_file", told.get("inactive_file", 0)))  # version 1 counts groups below apart


def groups() -> Iterator[tuple[Path, Path]]:
    """The files of limit and usage of every group that this process is in, of both versions, from the roots on."""
    unified, memory = own()
    for folder in down(TREE, unified):
        yield folder / "memory.max", folder / "memory.current"
    for folder in down(TREE / "memory", memory):
        yield folder / "memory.limit_in_bytes", folder / "memory.usage_in_bytes"


def own() -> tuple[str, str]:
    """Where this process is in the tree of version 2, and in that of version 1 for memory; "/" where nobody says."""
    unified = memory = "/"
    for line in OWN.read_text("utf-8", errors="replace").splitlines() if OWN.exists() else ():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            unified = path
        elif "memory" in controllers.split(","):
            memory = path
    return unified, memory


def down(root: Path, path: str) -> Iterator[Path]:
    """All folders from the root to the group's own. One outside of the container's tree begins with "..": the root."""
    names = PurePosixPath(path).parts[1:]
    yield root
    for count in range(1, len(names) + 1) if ".." not in names else ():
        yield root.joinpath(*names[:count])
