"""What two prepared folders have in common, and what only one has."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from tunesmith.data.prepared import Prepared
from tunesmith.formats.prepared import turns

SHOWN = 5  # rows of each kind that are named
DIGEST = 16  # bytes kept of each row


@dataclass(frozen=True, slots=True)
class Side:
    """id → what the row says, as a digest; about 150 bytes of memory a row."""

    rows: dict[str, bytes]
    words: frozenset[bytes]


def compare(old: Prepared, new: Prepared) -> dict[str, Any]:
    """Rows by name and by words: the same, changed (one name, other words), moved (the same words under another name),
    only in one; and the settings and counts that differ."""
    before, after = side(old.rows()), side(new.rows())
    both = before.rows.keys() & after.rows.keys()
    gone = [name for name in before.rows if name not in after.rows]
    come = [name for name in after.rows if name not in before.rows]
    changed = [name for name in before.rows if name in both and before.rows[name] != after.rows[name]]
    return {
        "rows": [len(before.rows), len(after.rows)],
        "same": len(both) - len(changed),
        "changed": some(changed),
        "removed": some(name for name in gone if before.rows[name] not in after.words),
        "added": some(name for name in come if after.rows[name] not in before.words),
        "moved": some(name for name in come if after.rows[name] in before.words),
        "settings": settings(old.manifest, new.manifest),
        "counts": counts(old.manifest, new.manifest),
    }


def side(rows: Iterable[dict[str, Any]]) -> Side:
    found = {row["id"]: digest(row) for row in rows}
    return Side(found, frozenset(found.values()))


def digest(row: dict[str, Any]) -> bytes:
    said = "\x1e".join(
        "\x1f".join([who, *(str(message[key] or "") for key in ("content", "thinking", "tool_calls"))])
        for who, message in turns(row)
    )
    return blake2b(said.encode(), digest_size=DIGEST).digest()


def some(names: Iterable[str]) -> dict[str, Any]:
    """How many, and the first of them."""
    found = list(names)
    return {"count": len(found), "first": found[:SHOWN]}


def settings(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """One line for each source or step that is not the same in both."""
    found = []
    for key in ("sources", "steps"):
        before, after = (
            [{name: value for name, value in item.items() if name != "read"} for item in side[key]]
            for side in (old, new)
        )
        found += [f"- {item}" for item in before if item not in after]
        found += [f"+ {item}" for item in after if item not in before]
    return found


def counts(old: dict[str, Any], new: dict[str, Any]) -> list[dict[str, Any]]:
    """For every step and reason, the rows let go in each, where they differ."""
    before, after = (
        {(step["step"], reason): count for step in side["counts"] for reason, count in step["reasons"].items()}
        for side in (old, new)
    )
    keys = dict.fromkeys([*before, *after])
    return [
        {"step": step, "reason": reason, "rows": [before.get((step, reason), 0), after.get((step, reason), 0)]}
        for step, reason in keys
        if before.get((step, reason), 0) != after.get((step, reason), 0)
    ]
