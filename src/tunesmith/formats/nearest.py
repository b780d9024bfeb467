"""What the user may have meant."""

from collections.abc import Sequence
from difflib import get_close_matches

from tunesmith.messages import tr


def nearest(given: str, allowed: Sequence[str]) -> str:
    """A cure that names the nearest allowed word, or all of them (the first ten, if there are many)."""
    close = get_close_matches(given, allowed, n=1, cutoff=0.5)
    names = ", ".join(allowed[:20]) + (" …" if len(allowed) > 20 else "")
    if close:
        return tr("did you mean {name}? Known: {names}", name=close[0], names=names)
    return tr("use one of {names}", names=names)
