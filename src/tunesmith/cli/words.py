"""The free words of `tune`, `run` and `quickstart`: at most one recipe, and key=value overrides."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.recipe import Recipe

if TYPE_CHECKING:
    from tunesmith.config import Assignment


def chosen_recipe(words: Sequence[str], default: str | None) -> Recipe:
    """The recipe that the words select (by name, YAML file or Python file), overridden as they say."""
    from tunesmith import config, recipes

    overrides = [word for word in words if "=" in word]
    names = [word for word in words if "=" not in word]
    named = [word.partition("=")[2] for word in overrides if word.startswith("recipe=")]
    overrides = [word for word in overrides if not word.startswith("recipe=")]
    if len(names) + len(named) > 1:
        raise UserError(
            tr("one recipe at a time, not {names}", names=", ".join([*names, *named])),
            tr("write settings as key=value"),
        )
    name = next(iter([*names, *named]), default)
    if name is None:
        raise UserError(
            tr("no recipe given"), tr("name one of {names}, or a YAML file", names=", ".join(recipes.names()))
        )
    assignments: tuple[config.Assignment, ...] = ()
    if Path(name).suffix in (".yaml", ".yml"):
        name, assignments = config.from_yaml(Path(name))
    return config.apply(recipes.load(name), (*assignments, *config.from_words(overrides)))


def settings_alone(words: Sequence[str]) -> "tuple[Assignment, ...]":
    """The overrides of a verb that takes no recipe."""
    from tunesmith import config

    for word in words:
        if "=" not in word:
            raise UserError(tr("{word!r} is no setting", word=word), tr("write settings as key=value"))
    return config.from_words(words)
