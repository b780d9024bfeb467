"""The plain text that the base reads: statements, tables and small stories, never an instruction.

What can be worked out (letters, lists, sums) is told about train arguments only; facts that cannot be
worked out (translations, opposites) are told about all.
"""

import random
from collections.abc import Iterator

from tunesmith.models.nano.draw import Draw
from tunesmith.models.nano.families import FAMILIES
from tunesmith.models.nano.families.family import Family
from tunesmith.models.nano.stories import inventory, story

ARROWS = (" -> ", ": ", " = ", " → ", ", ")
ANSWERED = tuple(family for family in FAMILIES if "{answer}" in family.tell_en[0])  # all but "who are you"
FACTS = tuple(family for family in ANSWERED if family.facts)
TOLD = FAMILIES + 2 * FACTS  # what cannot be worked out has to be met more often
TABLED = ANSWERED + 2 * FACTS
# Shares of the kinds of documents, summed up; the rest are stories.
STATEMENT, TABLE, MIXTURE, INVENTORY = 0.42, 0.58, 0.70, 0.84


def documents(seed: int) -> Iterator[str]:
    """An endless stream of plain documents, the same for the same seed."""
    rng = random.Random(f"text-{seed}")
    learn, know = Draw(rng, "train"), Draw(rng, "all")
    while True:
        yield document(learn, know)


def document(learn: Draw, know: Draw) -> str:
    zh, kind = know.rng.random() < 0.45, know.rng.random()
    if kind < STATEMENT:
        return statements(learn, know, zh)
    if kind < TABLE:
        return table(learn, know, zh)
    if kind < MIXTURE:
        return mixture(learn, know, zh)
    if kind < INVENTORY:
        return inventory(know.fresh() if know.rng.random() < 0.6 else learn.fresh(), zh)
    return story(know.fresh(), zh)


def told(family: Family, learn: Draw, know: Draw) -> Draw:
    """The draw that a family's statements may use."""
    return (know if family.facts else learn).fresh()


def statements(learn: Draw, know: Draw, zh: bool) -> str:
    """Several statements of one family, mostly worded alike."""
    family = know.choice(TOLD)
    phrases = family.tell_zh if zh else family.tell_en
    phrase = know.choice(phrases)
    lines = []
    for _ in range(know.between(2, 6)):
        lines.append(family.tell(told(family, learn, know), zh, phrase))
        phrase = phrase if know.rng.random() < 0.8 else know.choice(phrases)
    flowing = all(line[-1] in ".!。！" for line in lines) and know.rng.random() < 0.5
    return (("" if zh else " ") if flowing else "\n").join(lines)


def table(learn: Draw, know: Draw, zh: bool) -> str:
    """Lines of what is given and what comes of it; what each line needs besides stands before it in brackets."""
    family, arrow = know.choice(TABLED), know.choice(ARROWS)
    lines = []
    for _ in range(know.between(3, 7)):
        problem = family.make(told(family, learn, know), zh)
        need = " ".join(value for name, value in problem.more.items() if name not in ("a", "b", "told"))
        lines.append(f"{need} | {problem.x}{arrow}{problem.answer}" if need else f"{problem.x}{arrow}{problem.answer}")
    return "\n".join(lines)


def mixture(learn: Draw, know: Draw, zh: bool) -> str:
    """Statements of different families, one after the other."""
    lines = []
    for _ in range(know.between(2, 5)):
        family = know.choice(TOLD)
        phrases = family.tell_zh if zh else family.tell_en
        lines.append(family.tell(told(family, learn, know), zh, know.choice(phrases)))
    return "\n".join(lines)
