"""What an export tells while it goes on."""

from contextlib import AbstractContextManager
from typing import Protocol

from tunesmith.export.cases import Count


class Watch(Protocol):
    def say(self, text: str) -> None:
        """A line that stays."""
        ...

    def counting(self, title: str) -> AbstractContextManager[Count]:
        """A progress bar, as a function of what is done and what is to do."""
        ...
