"""What a family is: a maker of problems, the ways to ask for them, and the ways to tell them."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tunesmith.models.nano.draw import Draw


@dataclass(frozen=True, slots=True)
class Problem:
    """What is given (`x`), what is wanted, and further words that a phrasing may name, such as {n}."""

    x: str
    answer: str
    more: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Task:
    """One instruction with the only right answer; `about` names the arguments that decide its split."""

    family: str
    language: str
    instruction: str
    input: str
    answer: str
    about: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Family:
    """`ask_*` are instructions: with {x} inside, or with x as the input beside them.

    `tell_*` state x and its answer as plain text for the base, which never sees an instruction. A family
    of `facts` tells about every argument, since a fact cannot be worked out; any other only about train ones.
    """

    name: str
    make: Callable[[Draw, bool], Problem]
    ask_en: tuple[str, ...]
    ask_zh: tuple[str, ...]
    tell_en: tuple[str, ...] = ()
    tell_zh: tuple[str, ...] = ()
    facts: bool = False

    def task(self, draw: Draw, zh: bool) -> Task:
        problem = self.make(draw.fresh(), zh)
        phrase = draw.choice(self.ask_zh if zh else self.ask_en)
        instruction = phrase.format(x=problem.x, **problem.more)
        beside = "" if "{x}" in phrase else problem.x
        return Task(self.name, "zh" if zh else "en", instruction, beside, problem.answer, tuple(draw.about))

    def tell(self, draw: Draw, zh: bool, phrase: str) -> str:
        problem = self.make(draw, zh)
        return phrase.format(x=problem.x, answer=problem.answer, **problem.more)
