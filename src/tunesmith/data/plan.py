"""What is to be prepared: sources and steps, from a recipe in YAML or from paths alone."""

from collections.abc import Iterator, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal, cast

import yaml

from tunesmith.config import Assignment, checked, default_of, field_names, unknown_key
from tunesmith.data import step as steps
from tunesmith.data.step import RowStep, SetStep, Step
from tunesmith.errors import UserError
from tunesmith.formats.source import check, printable
from tunesmith.messages import tr

KEYS = ("sources", "steps")


@dataclass(frozen=True, slots=True)
class Source:
    """
    path       file, folder, hub id, or a set of a dataset_info.json
    name       what its rows are called by; rows of one name count as one source
    format     how records are stored; auto: told from their content
    licence    of its rows, where they do not say themselves
    generator  who wrote the answers, where the rows do not say
    templates  a templates.yaml of promptsource that puts raw rows into words, or a folder of them
    per_row    one: each row in the words of one template, drawn by its content; all: in those of every one
    """

    path: str = ""
    name: str = ""
    format: str = "auto"
    licence: str = ""
    generator: str = ""
    templates: str = ""
    per_row: Literal["one", "all"] = "one"


@dataclass(frozen=True, slots=True)
class Plan:
    sources: tuple[Source, ...]
    steps: tuple[Step, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "sources": [as_json(source) for source in self.sources],
            "steps": [{name_of(step): as_json(step)} for step in self.steps],
        }


def name_of(step: Step) -> str:
    """What the step is called in a recipe."""
    own = type(step)
    shipped = own.__module__.startswith(f"{steps.__package__}.steps.")
    return steps.snake(own.__name__) if shipped else f"{own.__module__}:{own.__name__}"


def as_json(settings: Any) -> dict[str, Any]:
    found = ((field.name, getattr(settings, field.name)) for field in fields(settings))
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found}


def load(given: Sequence[str], words: Sequence[Assignment] = ()) -> Plan:
    """The plan of a recipe file, or the default steps over paths; then `words` ("step.option=value") applied.

    Raises one UserError that lists every fault of the recipe with its line.
    """
    recipes = [Path(path) for path in given if path.endswith((".yaml", ".yml"))]
    if len(recipes) > 1 or (recipes and len(given) > 1):
        raise UserError(
            tr("{path} is a recipe and names its own sources", path=recipes[0]),
            tr("give one recipe alone, or only paths of data"),
        )
    plan = from_recipe(recipes[0]) if recipes else Plan(tuple(Source(path) for path in given), default_steps())
    plan = replace(plan, sources=named(plan.sources), steps=overridden(plan.steps, words))
    for source in plan.sources:
        check(source.path)
    return plan


def default_steps() -> tuple[Step, ...]:
    """The steps of default.yaml, which comes with Tunesmith."""
    text = resources.files("tunesmith.data").joinpath("default.yaml").read_text(encoding="utf-8")
    return read(text, "default.yaml").steps


def from_recipe(path: Path) -> Plan:
    """Sources are looked for beside the recipe where they are not found from here."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(tr("{path} cannot be read: {error}", path=path, error=error.strerror)) from error
    except UnicodeDecodeError as error:
        raise UserError(tr("{path} is not UTF-8 text", path=path), tr("save it as UTF-8")) from error
    plan = read(text, printable(path))
    if not plan.sources:
        raise UserError(tr("{path} names no sources", path=path), tr('write "sources: [alpaca.json]"'))
    beside = tuple(
        replace(source, path=near(source.path, path.parent), templates=near(source.templates, path.parent))
        for source in plan.sources
    )
    return replace(plan, sources=beside, steps=plan.steps or default_steps())


def near(given: str, folder: Path) -> str:
    """The path from here, or else from the folder, if it is there."""
    return given if Path(given).exists() or not (folder / given).exists() else str(folder / given)


def read(text: str, file: str) -> Plan:
    """Raises one UserError for all faults."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        line = error.problem_mark.line + 1 if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark else 1
        problem = error.problem if isinstance(error, yaml.MarkedYAMLError) else error
        raise UserError(tr("{path}:{line}: not valid YAML: {error}", path=file, line=line, error=problem)) from error
    if not isinstance(root, yaml.MappingNode):
        raise UserError(tr("{path} holds no settings", path=file), tr('write "sources: [alpaca.json]"'))
    faults: list[str] = []
    found: dict[str, tuple[Any, ...]] = {}
    makers = {"sources": source, "steps": step}
    for key, value in root.value:
        place = f"{file}:{key.start_mark.line + 1}"
        if key.value not in KEYS or not isinstance(value, yaml.SequenceNode):
            cure = tr("use the keys {names}, a list each", names=", ".join(KEYS))
            faults.append(f"{place}: {key.value} → {cure}")
            continue
        made = (attempt(makers[key.value], item, file, faults) for item in value.value)
        found[key.value] = tuple(item for item in made if item is not None)
    if faults:
        raise UserError("\n".join(faults), tr("tunesmith data steps lists every step and its options"))
    return Plan(found.get("sources", ()), found.get("steps", ()))


def attempt(make: Any, node: yaml.Node, file: str, faults: list[str]) -> Any:
    """What a node describes; where it cannot be, the fault is noted."""
    try:
        return make(node)
    except UserError as fault:
        place = f"{file}:{node.start_mark.line + 1}"
        faults.append(f"{place}: {fault.message}" + (f" → {fault.cure}" if fault.cure else ""))
        return None


def source(node: yaml.Node) -> Source:
    if isinstance(node, yaml.ScalarNode):
        return Source(str(node.value))
    made: Source = settings(Source, node)
    if not made.path:
        raise UserError(tr("a source without a path"), tr("write {example}", example="- {path: alpaca.json}"))
    return made


def step(node: yaml.Node) -> Step:
    """ "name", or {name: {option: value}}."""
    if isinstance(node, yaml.ScalarNode):
        return cast(Step, settings(steps.kind(str(node.value)), yaml.MappingNode("", [])))
    if not isinstance(node, yaml.MappingNode) or len(node.value) != 1:
        raise UserError(tr("a step is a name, or a name with its options"), tr("tunesmith data steps shows examples"))
    (name, options), *_ = node.value
    if isinstance(options, yaml.ScalarNode) and options.value in ("", "null", "~"):
        options = yaml.MappingNode("", [])
    return cast(Step, settings(steps.kind(str(name.value)), options))


def settings(kind: Any, node: yaml.Node) -> Any:
    """An instance of a settings dataclass, every option checked."""
    if not isinstance(node, yaml.MappingNode):
        raise UserError(tr("{name} takes options by name", name=label(kind)), options_of(kind))
    given: dict[str, Any] = {}
    for key, value in node.value:
        given |= {key.value: option(kind, str(key.value), yaml.SafeLoader("").construct_object(value, deep=True))}
    return make(kind, given)


def make(kind: Any, given: dict[str, Any]) -> Any:
    """The dataclass with these fields; a step may refuse a combination by UserError when it is made."""
    lacking = [
        field.name
        for field in fields(kind)
        if field.name not in given and field.default is MISSING and field.default_factory is MISSING
    ]
    if lacking:
        raise UserError(
            tr("{name} needs the option {option!r}", name=label(kind), option=lacking[0]), kind.EXAMPLE.strip()
        )
    return kind(**given)


def option(kind: Any, name: str, value: Any) -> Any:
    """One option's value as its field has it."""
    if name not in field_names(kind):
        fault = unknown_key(name, field_names(kind)) if field_names(kind) else UserError(tr("it takes no options"))
        raise UserError(f"{label(kind)}: {fault.message}", fault.cure)
    try:
        return checked(kind, name, value)
    except UserError as error:
        raise UserError(f"{label(kind)}.{name}: {error.message}", options_of(kind)) from error


def label(kind: type) -> str:
    return steps.snake(kind.__name__)


def options_of(kind: Any) -> str:
    """The options of a step with their defaults, in one line."""
    given = (
        f"{name}={default_of(kind, name)!r}" if default_of(kind, name) is not MISSING else name
        for name in field_names(kind)
    )
    return tr("options: {names}", names=", ".join(given))


def overridden(given: tuple[Step, ...], words: Sequence[Assignment]) -> tuple[Step, ...]:
    """Every step of that name with the option changed."""
    found = list(given)
    for word in words:
        name, _, key = word.key.rpartition(".")
        places = [place for place, step in enumerate(found) if name_of(step) == name]
        if not places:
            names = ", ".join(dict.fromkeys(name_of(step) for step in found))
            raise UserError(
                tr("{place}: no step {name!r} in this recipe", place=word.place, name=name or word.key),
                tr("its steps: {names}; write step.option=value", names=names),
            )
        for place in places:
            kind = type(found[place])
            found[place] = replace(found[place], **{key: option(kind, key, word.value)})  # type: ignore[type-var]
    return tuple(found)


def named(given: Sequence[Source]) -> tuple[Source, ...]:
    """Every source with a name; the shortest end of its path that no other has."""
    told = [source.name for source in given if source.name]
    twice = [name for name in told if told.count(name) > 1] + [
        source.path for source in given if sum(other.path == source.path for other in given) > 1
    ]
    if twice:
        raise UserError(
            tr("two sources are called {name!r}", name=twice[0]),
            tr("give each a name of its own, or leave one out: rows are found by the name of their source"),
        )
    return tuple(
        source if source.name else replace(source, name=short(source.path, [other.path for other in given], told))
        for source in given
    )


def short(path: str, paths: Sequence[str], taken: Sequence[str]) -> str:
    """ "a/x.json", beside "b/x.json" -> "a/x"."""
    others = [set(ends(other)) for other in paths if other != path]
    return next(
        (end for end in ends(path) if end not in taken and not any(end in known for known in others)), printable(path)
    )


def ends(path: str) -> Iterator[str]:
    """ "a/b/x.json.gz" -> "x", "b/x", "a/b/x"."""
    parts = [part for part in Path(printable(path)).parts if part not in ("/", "..", ".")] or [printable(path)]
    parts[-1] = parts[-1].split(".")[0] or parts[-1]
    return ("/".join(parts[start:]) for start in range(len(parts) - 1, -1, -1))


def passes(given: Sequence[Step]) -> list[tuple[tuple[RowStep, ...], SetStep | None]]:
    """The steps in runs: row steps, and the step with sight of all that closes the run; the last may have none."""
    runs: list[tuple[tuple[RowStep, ...], SetStep | None]] = []
    some: tuple[RowStep, ...] = ()
    for one in given:
        if isinstance(one, SetStep):
            runs.append((some, one))
            some = ()
        elif isinstance(one, RowStep):
            some = (*some, one)
    return [*runs, (some, None)] if some else runs
