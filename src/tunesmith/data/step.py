"""What a step of preparation is, and how one is found by its name.

A step is a frozen dataclass: its fields are its options. It either judges one conversation at a time (`RowStep`), or
needs sight of all (`SetStep`): then each row is boiled down to a sketch, and the decision is made on the sketches.
Steps know nothing of files, shards or processes.
"""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, ClassVar, Protocol

from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.records import Conversation

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray
    from pyarrow.lib import RecordBatch, Table


@dataclass(frozen=True, slots=True)
class Reject:
    """A conversation let go. `reason` is one of the step's REASONS, by which it is counted; `detail` what was seen."""

    reason: str
    detail: str = ""


Outcome = Conversation | Reject


class Step:
    """
    REASONS  every reason for which the step may let a conversation go
    KINDS    what it can judge: conversation (rated or not), comparison, text; a step for rows lets others pass as they
             are, one that needs sight of all refuses them
    EXAMPLE  the step as it stands in a recipe, in YAML
    """

    REASONS: ClassVar[tuple[str, ...]] = ()
    KINDS: ClassVar[tuple[str, ...]] = ("conversation",)
    EXAMPLE: ClassVar[str] = ""


class RowStep(Step, ABC):
    """Judges or changes one conversation at a time: it yields what becomes of it, several where it is split.

    The same conversation has the same outcome wherever and whenever it comes; randomness is drawn from its words.
    """

    @abstractmethod
    def __call__(self, conversation: Conversation) -> Iterable[Outcome]: ...

    def ready(self) -> Callable[[Conversation], Iterable[Outcome]]:
        """What is called for each conversation, made once a process; overridden where an index or a model is needed."""
        return self


class Rows(Protocol):
    """All rows at the time of a SetStep's decision, numbered from 0 in the order of the sources."""

    @property
    def sketches(self) -> "Table":
        """What `sketch` made, one row a conversation, mapped from disk."""

    def id(self, row: int) -> str:
        """The name by which a person can find the row: source and record."""

    def fetch(self, rows: Sequence[int]) -> list[Conversation]:
        """The conversations themselves, in the order asked for; near rows are read together."""


@dataclass(frozen=True, slots=True)
class Decision:
    """
    copies   [rows]: 0 lets the row go, 1 keeps it, more repeats it
    rejects  why, for every row with no copies
    order    [sum of copies]: the rows as they come out, each as often as it has copies;
             None: as they came in, the copies of a row one after another
    company  [rows, most]: rows that a row is completed with (`SetStep.complete`), -1 where there are fewer; or none
    """

    copies: "NDArray[numpy.uint32]"
    rejects: Mapping[int, Reject] = field(default_factory=dict)
    order: "NDArray[numpy.int64] | None" = None
    company: "NDArray[numpy.int64] | None" = None


class SetStep(Step, ABC):
    """Decides with sight of all rows. Memory: the sketches are on disk, `decide` should hold numbers, not texts."""

    @abstractmethod
    def sketch(self, conversations: Sequence[Conversation]) -> "RecordBatch":
        """All that the decision needs of each conversation; a row of the batch each. Runs in worker processes."""

    @abstractmethod
    def decide(self, rows: Rows) -> Decision:
        """What becomes of every row; the same rows have the same decision. Runs once."""

    def complete(self, conversation: Conversation, company: Sequence[Conversation]) -> Conversation:
        """A kept row as it is written, given the rows that the decision set beside it, if any. Changes nothing else."""
        return conversation


@cache
def names() -> tuple[str, ...]:
    """Names of the steps that come with Tunesmith: a file each."""
    files = (entry.name for entry in resources.files("tunesmith.data.steps").iterdir())
    return tuple(sorted(name[:-3] for name in files if name.endswith(".py") and not name.startswith("_")))


def kind(name: str) -> type[Step]:
    """The class of a step: NearDuplicates for "near_duplicates", or a user's own named "module:Class"."""
    module, _, own = name.partition(":")
    if not own and name not in names():
        from tunesmith.config import nearest

        close = nearest(name, names())
        cure = tr("did you mean {name!r}?", name=close) if close else tr("tunesmith data steps lists them")
        raise UserError(tr("no step {name!r}", name=name), cure)
    try:
        found = getattr(
            importlib.import_module(module if own else f"tunesmith.data.steps.{name}"), own or camel(name), None
        )
    except ImportError as error:
        raise UserError(
            tr("step {name!r} cannot be imported: {error}", name=name, error=error),
            tr("give it as module:Class, where Python finds the module"),
        ) from error
    if not isinstance(found, type) or not issubclass(found, RowStep | SetStep):
        raise UserError(
            tr("{name!r} is no step", name=name),
            tr("name a class derived from RowStep or SetStep in tunesmith.data.step"),
        )
    return found


def camel(name: str) -> str:
    """ "near_duplicates" -> "NearDuplicates"."""
    return "".join(word.capitalize() for word in name.split("_"))


def snake(name: str) -> str:
    """ "NearDuplicates" -> "near_duplicates"."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
