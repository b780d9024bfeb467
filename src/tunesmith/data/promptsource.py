"""The prompt templates of promptsource (Bach et al., 2022): one templates.yaml a data set, Jinja inside.

They made P3, on which T0 was tuned, and the English prompts of xP3, of BLOOMZ and mT0. A template turns a raw row of
its data set into a question and an answer, parted by "|||". The YAML is read with constructors of our own for
promptsource's two tags and makes nothing but plain values.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tunesmith.errors import UserError
from tunesmith.messages import tr

FILE = "templates.yaml"


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """
    dataset       data set and subset, "glue/mrpc"
    name          as promptsource calls it; unique within a data set, but for a few slips
    source        Jinja: the question, "|||", the answer
    choices       Jinja: all possible answers, with "|||" between them; empty where the answer is free
    languages     of the prompt, not of the data
    original      whether it asks for what the data set was made for, rather than, say, for the question to an answer
    file          where it was read
    """

    dataset: str
    name: str
    source: str
    choices: str = ""
    languages: tuple[str, ...] = ()
    original: bool = True
    file: str = ""

    def __str__(self) -> str:
        return f"{self.file}: {self.name}"


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # libyaml is 8 times as fast
    """Plain values only; the two tags of promptsource are plain mappings too."""


for tag in ("!Template", "!TemplateMetadata"):
    Loader.add_constructor(tag, lambda loader, node: loader.construct_mapping(node, deep=True))


def read_templates(path: Path) -> Iterator[PromptTemplate]:
    """The templates of a templates.yaml, or of all those in a folder and below it. Raises UserError."""
    files = sorted(path.rglob(FILE)) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        cure = tr("give a {name} of promptsource, or a folder that holds some", name=FILE)
        raise UserError(tr("{path} holds no prompt templates", path=path), cure)
    for file in files:
        yield from of_file(file)


def of_file(file: Path) -> Iterator[PromptTemplate]:
    """The templates of one file, in its order."""
    content = loaded(file)
    listed = content.get("templates") if isinstance(content, dict) else None
    if not isinstance(listed, dict):
        raise UserError(
            tr("{file} is no file of prompt templates: it lacks the field {field}", file=file, field="templates"),
            tr("give a {name} of promptsource, or a folder that holds some", name=FILE),
        )
    dataset = "/".join(str(content[key]) for key in ("dataset", "subset") if content.get(key))
    for key, template in listed.items():
        yield template_of(template, str(key), dataset, file)


def loaded(file: Path) -> Any:
    try:
        return yaml.load(file.read_text(encoding="utf-8"), Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(
            tr("{file} cannot be read as YAML: {error}", file=file, error=error),
            tr("mend it, or fetch it again; of tags it may use only {tags}", tags="!Template, !TemplateMetadata"),
        ) from error


def template_of(fields: Any, key: str, dataset: str, file: Path) -> PromptTemplate:
    """One template; `key` stands for its name in errors."""
    missing = [name for name in ("name", "jinja") if not isinstance(fields, dict) or not fields.get(name)]
    if missing:
        name = fields.get("name") or key if isinstance(fields, dict) else key
        message = tr("{file}: template {name} lacks the field {field}", file=file, name=name, field=missing[0])
        raise UserError(message, tr("fill it in, or take the template out"))
    about = fields.get("metadata") or {}
    return PromptTemplate(
        dataset=dataset,
        name=str(fields["name"]),
        source=str(fields["jinja"]),
        choices=str(fields.get("answer_choices") or ""),
        languages=tuple(about.get("languages") or ()),
        original=bool(about.get("original_task")),
        file=str(file),
    )
