"""A sliding view of a long JSON text: decodes one value at a time and knows its line."""

import codecs
import json
import re
from typing import Any, BinaryIO

from tunesmith.formats.open import stream

DECODER = json.JSONDecoder()
SPACE = re.compile(r"[ \t\r\n]*")
SPACE_OR_COMMAS = re.compile(r"[ \t\r\n,]*")
LONGEST_LITERAL = 12  # characters: an escaped surrogate pair
LOOK_BACK = 256  # characters kept while searching, longer than any pattern that is searched for


class MalformedError(Exception):
    """The value at the cursor is not JSON."""


class UnfinishedError(Exception):
    """The file ends inside the value at the cursor."""


class TooLongError(Exception):
    """The value at the cursor is longer than a record may be."""


class Window:
    """`text[at:]` is unread. Bytes that are not UTF-8 stay in it as surrogate escapes."""

    def __init__(self, handle: BinaryIO) -> None:
        self.text = ""
        self.at = 0
        self.damaged = False
        self.began = 0  # where the value decoded last starts
        self._handle = handle
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
        self._ended = False
        self._bytes = 0  # bytes of the file before text[0]
        self._mark, self._line = 0, 1  # text[_mark] stands in line _line
        self.more()
        if self.text.startswith("\ufeff"):
            self.at = 1

    def more(self) -> bool:
        """Drop what is read and append as much again as is unread; False at the end of the file."""
        if self._ended:
            return False
        self.line(self.at)
        if self.at:
            self._bytes += len(self.text[: self.at].encode("utf-8", "surrogateescape"))
        rest = self.text[self.at :]
        data = stream.read(self._handle, max(stream.CHUNK, min(len(rest), stream.LONGEST - len(rest))))
        self._ended = not data
        added = self._decode(data, self._ended)
        self.damaged = self.damaged or escaped(added) is not None
        self.text, self._mark, self.at = rest + added, 0, 0
        return not self._ended or bool(added)

    def line(self, position: int) -> int:
        """The line of text[position]; positions must not go back."""
        self._line += self.text.count("\n", self._mark, position)
        self._mark = position
        return self._line

    def offset(self, position: int) -> int:
        """The byte offset of text[position] in the file."""
        return self._bytes + len(self.text[:position].encode("utf-8", "surrogateescape"))

    def skip(self, pattern: re.Pattern[str] = SPACE) -> str:
        """Pass over white space (and commas); the character that follows, or "" at the end."""
        while True:
            match = pattern.match(self.text, self.at)
            self.at = match.end() if match else self.at
            if self.at < len(self.text) or not self.more():
                return self.text[self.at : self.at + 1]

    def value(self) -> Any:
        """Decode the value at the cursor and step over it."""
        while True:
            try:
                value, end = DECODER.raw_decode(self.text, self.at)
            except json.JSONDecodeError as error:
                if not self._may_go_on(error):
                    raise MalformedError(f"{error.msg}, line {self._line_of(error.pos)}") from None
            except (ValueError, RecursionError) as error:
                raise MalformedError(str(error)[:80]) from None
            else:
                if end < len(self.text) or self._ended or self.text[end - 1] in '}]"':
                    self.began, self.at = self.at, end
                    return value
            if len(self.text) - self.at > stream.LONGEST:
                raise TooLongError
            if not self.more():
                raise UnfinishedError

    def _may_go_on(self, error: json.JSONDecodeError) -> bool:
        """Whether the fault may only be that the rest is not read yet, or is not there."""
        near = 0 if self._ended else LONGEST_LITERAL
        return error.msg.startswith("Unterminated string") or error.pos >= len(self.text) - near

    def _line_of(self, position: int) -> int:
        return self._line + self.text.count("\n", self._mark, position)

    def ahead(self, pattern: re.Pattern[str]) -> bool:
        """Whether a short pattern stands at the cursor."""
        while not pattern.match(self.text, self.at) and len(self.text) - self.at < LOOK_BACK and self.more():
            pass
        return pattern.match(self.text, self.at) is not None

    def seek(self, pattern: re.Pattern[str]) -> str:
        """Move to the next match after the cursor, or to the end; the text passed over (its start, if very long)."""
        passed, looked = "", 1
        while True:
            match = pattern.search(self.text, self.at + looked)
            if match or self._ended:
                end = match.start() if match else len(self.text)
                passed += self.text[self.at : end] if len(passed) < stream.CHUNK else ""
                self.at = end
                return passed
            if len(self.text) - self.at > stream.LONGEST:
                passed, self.at = passed or self.text[self.at : self.at + stream.CHUNK], len(self.text) - LOOK_BACK
            looked = max(1, len(self.text) - self.at - LOOK_BACK)
            self.more()


def escaped(text: str) -> int | None:
    """The place of the first byte that is not UTF-8, in text decoded with surrogate escapes."""
    if text.isascii():
        return None
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return error.start
    return None
