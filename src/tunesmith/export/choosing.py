"""A form of export by its name, with its options checked. Nothing here imports a form before it is chosen."""

import ast
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib import import_module, resources
from typing import TYPE_CHECKING, Any, cast

from tunesmith.config import Assignment, assign, dotted_names, field_names, nearest, unknown_key
from tunesmith.data.step import camel
from tunesmith.errors import UserError
from tunesmith.export.settings import FOUR_BITS, Limits, Settings
from tunesmith.messages import tr

if TYPE_CHECKING:
    from tunesmith.export.target import Target

FOLDER = "tunesmith.export.targets"


@cache
def names() -> tuple[str, ...]:
    """What --to takes: a file each."""
    files = (entry.name for entry in resources.files(FOLDER).iterdir())
    return tuple(sorted(name[:-3].replace("_", "-") for name in files if name.endswith(".py") and name[0] != "_"))


@cache
def summaries() -> dict[str, str]:
    """For each form what it is and its options, read from its source: a form may need packages that are not there."""
    return {name: f"{summary(name)} {options(name)}".strip() for name in names()}


def summary(name: str) -> str:
    """The first line of the docstring, translated."""
    return tr((ast.get_docstring(source(name)) or "").partition("\n")[0])


def options(name: str) -> str:
    """ "(dtype=auto, …)"; nothing where there are none."""
    given = [
        f"{ast.unparse(node.target)}={ast.unparse(node.value)}".replace("'", "").replace('"', "")
        for node in source(name).body
        if isinstance(node, ast.AnnAssign) and node.value is not None and "ClassVar" not in ast.unparse(node.annotation)
    ]
    return f"({', '.join(given)})" if given else ""


@cache
def source(name: str) -> ast.ClassDef:
    text = resources.files(FOLDER).joinpath(f"{module(name)}.py").read_text(encoding="utf-8")
    wanted = camel(module(name))
    return next(node for node in ast.parse(text).body if isinstance(node, ast.ClassDef) and node.name == wanted)


def module(name: str) -> str:
    return name.replace("-", "_")


def choose(name: str, words: Sequence[Assignment] = ()) -> "tuple[Target, Settings]":
    """The form with its options, and the settings of the export, as `words` have them.

    Raises one UserError that lists every word which is neither, or whose value is refused.
    """
    target = plain(name)
    settings = Settings(limits=limits_of(target))
    faults: list[str] = []
    given: list[Assignment] = []
    for word in words:
        try:
            if word.key in field_names(target):
                target = cast("Target", assign(target, [word.key], word))
            else:
                known_to(target, word.key)
                given.append(word)
        except UserError as fault:
            faults.append(told(word, fault))
    settings = replace(settings, limits=limits_of(target))
    for word in given:
        try:
            settings = assign(settings, word.key.split("."), word)
        except UserError as fault:
            faults.append(told(word, fault))
    if faults:
        raise UserError("\n".join(faults), tr("tunesmith export --help lists the options"))
    return target, settings


def plain(name: str) -> "Target":
    """The form with all options at their defaults."""
    if name not in names():
        close = nearest(name, names())
        known = ", ".join(names())
        raise UserError(
            tr("no form of export is called {name!r}", name=name),
            tr("did you mean {name!r}? (forms: {names})", name=close, names=known)
            if close
            else tr("use one of {names}", names=known),
        )
    return cast("Target", getattr(import_module(f"{FOLDER}.{module(name)}"), camel(module(name)))())


def limits_of(target: "Target") -> Limits:
    """What the form itself says that it may lose; one that says nothing may lose what 4 bits lose."""
    return cast(Limits, getattr(target, "limits", FOUR_BITS))


def known_to(target: Any, key: str) -> None:
    """Raise UserError unless the key is an option of the form or a setting of the export."""
    known = [*field_names(target), *dotted_names(Settings())]
    if key not in known:
        raise unknown_key(key, known)


def told(word: Assignment, fault: UserError) -> str:
    return f"{word.place}: {fault.message}" + (f" → {fault.cure}" if fault.cure else "")
