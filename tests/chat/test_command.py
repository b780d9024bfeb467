"""The chat command, as a terminal sees it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.chat.conftest import KNOWN
from tunesmith import chat as talking
from tunesmith.cli.chat import chat
from tunesmith.errors import UserError


def typing(monkeypatch: pytest.MonkeyPatch, *lines: str | type[BaseException]) -> None:
    """Answer input() with these lines; an exception is raised instead, and the end of the input follows."""
    rest: Iterator[str | type[BaseException]] = iter((*lines, EOFError))

    def read(prompt: str = "") -> str:
        line = next(rest)
        if isinstance(line, str):
            return line
        raise line

    monkeypatch.setattr("builtins.input", read)


def test_once_prints_the_answer_alone(assistant: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chat(str(assistant), once="你好")
    assert capsys.readouterr().out == KNOWN["你好"] + "\n"


def test_once_as_json_is_one_object(assistant: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chat(str(assistant), once="hi", json=True)
    found = json.loads(capsys.readouterr().out)
    assert found.keys() == {"answer", "model", "tokens", "seconds"}
    assert found["answer"] == KNOWN["hi"]
    assert found["model"] == str(assistant)
    assert found["tokens"] == len(KNOWN["hi"].encode())


def test_json_without_a_question_is_refused(assistant: Path) -> None:
    with pytest.raises(UserError, match="--once"):
        chat(str(assistant), json=True)


def test_a_model_that_is_not_there_is_the_users_error() -> None:
    with pytest.raises(UserError) as refusal:
        chat("./nowhere", once="hi")
    assert refusal.value.exit_code == 2


def test_a_conversation_goes_on_until_exit(
    assistant: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typing(monkeypatch, "hi", "", "你好", "/exit", "again")
    chat(str(assistant))
    assert capsys.readouterr().out == f"{KNOWN['hi']}\n{KNOWN['你好']}\n"


def test_reset_forgets_and_system_sets_the_prompt(
    assistant: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typing(monkeypatch, "hi", "/reset", "again", "/system pirate", "hi", "/system", "hi")
    chat(str(assistant))
    assert capsys.readouterr().out.splitlines() == [KNOWN["hi"], KNOWN["again"], "Arr", KNOWN["hi"]]


def stop_after(tokens: int) -> Callable[..., Iterator[int]]:
    """A generation during which Ctrl-C is pressed."""
    real = talking.generate

    def generate(*arguments: object) -> Iterator[int]:
        for count, token in enumerate(real(*arguments)):  # type: ignore[arg-type]
            if count == tokens:
                raise KeyboardInterrupt
            yield token

    return generate


def test_the_first_ctrl_c_stops_the_answer_and_the_second_leaves(
    assistant: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(talking, "generate", stop_after(3))
    typing(monkeypatch, "hi", "/reset", "again", KeyboardInterrupt, "hi")
    chat(str(assistant))
    shown = capsys.readouterr()
    assert shown.out == "Hel\ntwi\n"
    assert "Ctrl-C again leaves" in shown.err


def test_a_question_too_long_does_not_end_the_conversation(
    assistant: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typing(monkeypatch, "long " * 1000, "hi")
    chat(str(assistant))
    shown = capsys.readouterr()
    assert shown.out == KNOWN["hi"] + "\n"
    assert "/reset" in shown.err
