"""Shipped recipes: one file a method, one function of the same name that returns it."""

import difflib
import importlib.util
import inspect
from collections.abc import Callable
from functools import cache
from importlib import import_module, resources
from pathlib import Path
from typing import cast

from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.recipe import Recipe, Stage

Maker = Callable[[], Recipe]


@cache
def names() -> tuple[str, ...]:
    """Names of the shipped recipes."""
    files = (entry.name for entry in resources.files(__name__).iterdir())
    return tuple(sorted(name[:-3] for name in files if name.endswith(".py") and not name.startswith("_")))


def maker(name: str) -> Maker:
    """The function that makes a recipe: shipped, by name, or in a Python file, by path."""
    path = Path(name)
    if path.suffix == ".py" and path.is_file():
        return from_file(path)
    key = name.replace("-", "_")
    if key in names():
        return cast(Maker, getattr(import_module(f"{__name__}.{key}"), key))
    close = difflib.get_close_matches(key, names(), n=1)
    cure = tr("did you mean {name!r}?", name=close[0]) if close else tr("use one of {names}", names=", ".join(names()))
    raise UserError(tr("no recipe {name!r}", name=name), cure)


def from_file(path: Path) -> Maker:
    """The recipe function of a user's own file: the one named like the file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UserError(tr("{path} is not a Python file", path=path))
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise UserError(tr("{path}:{line}: {error}", path=path, line=error.lineno, error=error.msg)) from error
    found = getattr(module, path.stem, None)
    if not callable(found):
        raise UserError(
            tr("{path} has no function {name}", path=path, name=path.stem),
            tr("define a function of that name that returns a Recipe"),
        )
    return cast(Maker, found)


def load(name: str) -> Recipe:
    """The recipe called `name`."""
    made = maker(name)()
    if not isinstance(made, Recipe):
        raise UserError(
            tr("recipe {name!r} returned {kind}", name=name, kind=type(made).__name__), tr("return a Recipe")
        )
    return made


def source(name: str) -> str:
    """File and line of the recipe's function."""
    function = maker(name)
    return f"{inspect.getsourcefile(function)}:{inspect.getsourcelines(function)[1]}"


def settings_source(stage: Stage) -> str:
    """File and line of the class that declares a stage's settings."""
    return f"{inspect.getsourcefile(type(stage))}:{inspect.getsourcelines(type(stage))[1]}"
