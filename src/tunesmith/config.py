"""What a user writes: `key=value` on the command line, or a short YAML. Checked against the recipe's own fields.

Every fault is found in one pass and told with its place, what is allowed and the nearest name.
"""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError

from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Assignment:
    """One key and its value, and the place where the user wrote it."""

    key: str
    value: Any
    place: str


def from_words(words: Iterable[str]) -> tuple[Assignment, ...]:
    """Command-line overrides: "tune.lr=1e-5". Values are read as YAML, so lists are written [a, b]."""
    return tuple(from_word(word) for word in words)


def from_word(word: str) -> Assignment:
    key, _, text = word.partition("=")
    place = tr("command line, {word!r}", word=word)
    try:
        value = yaml.safe_load(text) if text else ""
    except yaml.YAMLError as error:
        raise UserError(f"{place}: {tr('the value is not valid YAML')}", tr("put it in quotes")) from error
    return Assignment(key.strip(), value, place)


def from_yaml(path: Path) -> tuple[str, tuple[Assignment, ...]]:
    """The recipe that a YAML file selects, and its overrides with their lines."""
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise UserError(tr("{path} cannot be read: {error}", path=path, error=error.strerror)) from error
    except UnicodeDecodeError as error:
        raise UserError(tr("{path} is not UTF-8 text", path=path), tr("save it as UTF-8")) from error
    except yaml.YAMLError as error:
        line = error.problem_mark.line + 1 if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark else 1
        problem = error.problem if isinstance(error, yaml.MarkedYAMLError) else error
        raise UserError(tr("{path}:{line}: not valid YAML: {error}", path=path, line=line, error=problem)) from error
    if not isinstance(root, yaml.MappingNode):
        raise UserError(tr("{path} holds no settings", path=path), tr('write "recipe: sft" and the settings to change'))
    assignments = tuple(flatten(root, path, ""))
    chosen = [assignment for assignment in assignments if assignment.key == "recipe"]
    if not chosen:
        raise UserError(tr("{path}: no key 'recipe'", path=path), tr("say which recipe it changes, e.g. recipe: sft"))
    return str(chosen[0].value), tuple(assignment for assignment in assignments if assignment.key != "recipe")


def flatten(node: yaml.MappingNode, path: Path, prefix: str) -> Iterator[Assignment]:
    """Leaves of a YAML tree with dotted keys; a key given twice is refused."""
    seen: dict[str, int] = {}
    for key_node, value_node in node.value:
        key, line = f"{prefix}{key_node.value}", key_node.start_mark.line + 1
        if key in seen:
            raise UserError(
                tr(
                    "{path}:{line}: key {key!r} stands already on line {first}",
                    path=path,
                    line=line,
                    key=key,
                    first=seen[key],
                ),
                tr("keep one of them"),
            )
        seen[key] = line
        if isinstance(value_node, yaml.MappingNode):
            yield from flatten(value_node, path, f"{key}.")
        else:
            value = yaml.SafeLoader("").construct_object(value_node, deep=True)
            yield Assignment(key, value, f"{path}:{line}")


def apply(recipe: Recipe, assignments: Sequence[Assignment]) -> Recipe:
    """The recipe with all assignments made. Raises one UserError that lists every fault."""
    faults: list[str] = []
    stages = dict(recipe.stages)
    for assignment in assignments:
        try:
            name, keys = locate(stages, assignment.key.split("."))
            stages[name] = assign(stages[name], keys, assignment)
        except UserError as fault:
            faults.append(f"{assignment.place}: {fault.message}" + (f" → {fault.cure}" if fault.cure else ""))
    if faults:
        raise UserError("\n".join(faults), tr("tunesmith recipes show {name} prints every setting", name=recipe.name))
    return replace(recipe, stages=tuple(stages.items()))


def locate(stages: dict[str, Any], keys: list[str]) -> tuple[str, list[str]]:
    """The stage that a dotted key speaks of, and the rest of the key."""
    head = keys[0]
    having = [name for name, stage in stages.items() if head in field_names(stage)]
    if head in stages and len(keys) > 1 and (not having or keys[1] in field_names(stages[head])):
        return head, keys[1:]
    if len(having) == 1:
        return having[0], keys
    if len(having) > 1:
        options = ", ".join(f"{name}.{head}" for name in having)
        raise UserError(
            tr("key {key!r} is in several stages", key=".".join(keys)), tr("write one of {options}", options=options)
        )
    known = [name for stage in stages.values() for name in dotted_names(stage)] + list(stages)
    raise unknown_key(".".join(keys), known)


def unknown_key(key: str, known: Sequence[str]) -> UserError:
    """The error for a key that does not exist: the nearest one that does, and its neighbours."""
    close = nearest(key, known)
    if not close:
        return UserError(tr("unknown key {key!r}", key=key), tr("use one of {names}", names=", ".join(known)))
    prefix = close.rpartition(".")[0]
    beside = ", ".join(name for name in known if name.rpartition(".")[0] == prefix)
    return UserError(
        tr("unknown key {key!r}", key=key), tr("did you mean {name!r}? (keys: {names})", name=close, names=beside)
    )


def nearest(key: str, known: Sequence[str]) -> str | None:
    """The known key most like `key`: by its last word, by that word's initials (learning_rate: lr), or as a whole."""
    last = key.rpartition(".")[2]
    ends = {name.rpartition(".")[2]: name for name in known}
    initials = "".join(word[:1] for word in last.split("_"))
    if len(initials) > 1 and initials in ends:
        return ends[initials]
    close = difflib.get_close_matches(last, ends, n=1, cutoff=0.7)
    if close:
        return ends[close[0]]
    return next(iter(difflib.get_close_matches(key, known, n=1, cutoff=0.6)), None)


def assign(settings: Any, keys: Sequence[str], assignment: Assignment) -> Any:
    """A copy of a settings dataclass with one field, perhaps deeper down, changed and checked."""
    head, *rest = keys
    if head not in field_names(settings):
        prefix = assignment.key[: len(assignment.key) - len(".".join(keys))]
        raise unknown_key(assignment.key, [f"{prefix}{name}" for name in dotted_names(settings)])
    current = getattr(settings, head)
    if rest and is_dataclass(current):
        return replace(settings, **{head: assign(current, rest, assignment)})
    if rest or is_dataclass(current):
        inner = ", ".join(f"{head}.{name}" for name in field_names(current)) if is_dataclass(current) else head
        raise UserError(
            tr("{key!r} takes no value of its own", key=assignment.key), tr("use one of {names}", names=inner)
        )
    return replace(settings, **{head: checked(type(settings), head, assignment.value)})


def checked(owner: type, name: str, value: Any) -> Any:
    """The value as the field's type has it. Raises UserError saying what is allowed."""
    if isinstance(value, str | int | float) and isinstance(default_of(owner, name), tuple):
        value = (str(value),)
    try:
        return adapter(owner, name).validate_python(value)
    except ValidationError as error:
        raise UserError(f"{value!r}: {error.errors()[0]['msg']}") from error


def default_of(owner: Any, name: str) -> Any:
    return next(field.default for field in fields(owner) if field.name == name)


@cache
def adapter(owner: type, name: str) -> TypeAdapter[Any]:
    return TypeAdapter(get_type_hints(owner, include_extras=True)[name])


def field_names(settings: Any) -> list[str]:
    return [field.name for field in fields(settings)] if is_dataclass(settings) else []


def dotted_names(settings: Any, prefix: str = "") -> list[str]:
    """Every leaf: ["base", …, "tune.lr", …]."""
    names: list[str] = []
    for name in field_names(settings):
        inner = dotted_names(getattr(settings, name), f"{prefix}{name}.")
        names += inner or [f"{prefix}{name}"]
    return names


def to_json(value: Any) -> Any:
    """A recipe or stage as plain JSON data."""
    if isinstance(value, Recipe):
        return {"recipe": value.name, "stages": {name: to_json(stage) for name, stage in value.stages}}
    if is_dataclass(value) and not isinstance(value, type):
        return {"is": type(value).__name__} | {
            field.name: to_json(getattr(value, field.name)) for field in fields(value)
        }
    return list(value) if isinstance(value, tuple) else value


def diff(old: Recipe, new: Recipe) -> list[str]:
    """One line for each setting that differs, in reading order."""
    before, after = leaves(old), leaves(new)
    keys = dict.fromkeys([*before, *after])
    missing = "–"
    return [
        f"{key}: {before.get(key, missing)} → {after.get(key, missing)}"
        for key in keys
        if before.get(key, missing) != after.get(key, missing)
    ]


def leaves(recipe: Recipe) -> dict[str, Any]:
    """Dotted key → value; a recipe of one stage leaves the stage's name out."""
    single = len(recipe.stages) == 1
    found: dict[str, Any] = {}
    for name, stage in recipe.stages:
        for key in dotted_names(stage):
            value: Any = stage
            for part in key.split("."):
                value = getattr(value, part)
            found[key if single else f"{name}.{key}"] = list(value) if isinstance(value, tuple) else value
    return found
