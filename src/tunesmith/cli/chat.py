"""tunesmith chat: talk to a model in the terminal."""

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.cli.console import emit, human
from tunesmith.errors import UserError
from tunesmith.messages import tr

if TYPE_CHECKING:
    from tunesmith.chat import ChatSession


def chat(
    model: Annotated[str, typer.Argument(help=tr("A model folder, an adapter folder, nano, or a hub id."))],
    once: Annotated[str | None, typer.Option("--once", help=tr("Answer this one question on stdout, and end."))] = None,
    system: Annotated[str, typer.Option("--system", help=tr("System prompt."))] = "",
    template: Annotated[
        str, typer.Option("--template", help=tr("Shipped template or .jinja file; default: the model's own."))
    ] = "",
    temperature: Annotated[
        float, typer.Option("--temperature", min=0.0, help=tr("0: always the likeliest token."))
    ] = 0.0,
    top_p: Annotated[float, typer.Option("--top-p", min=0.0, max=1.0, help=tr("Leave out the unlikely rest."))] = 1.0,
    max_new_tokens: Annotated[
        int, typer.Option("--max-new-tokens", min=1, help=tr("Longest answer, in tokens."))
    ] = 512,
    seed: Annotated[int, typer.Option("--seed", help=tr("Seed of the sampling."))] = 0,
    json: Annotated[bool, typer.Option("--json", help=tr("With --once: print one JSON object on stdout."))] = False,
) -> None:
    if json and once is None:
        raise UserError(tr("--json needs --once"), tr('add --once "your question"'))
    from tunesmith.chat import Sampling, open_session

    session = open_session(model, template, system, Sampling(temperature, top_p, max_new_tokens, seed))
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal that cannot show a character
    if once is None:
        converse(session)
    elif json:
        answer_as_json(session, model, once)
    else:
        speak(session, once)


def answer_as_json(session: "ChatSession", model: str, question: str) -> None:
    start = time.perf_counter()
    answer = "".join(session.ask(question))
    emit({"answer": answer, "model": model, "tokens": session.spent, "seconds": round(time.perf_counter() - start, 3)})


def speak(session: "ChatSession", question: str) -> None:
    """Print the answer as it comes."""
    pieces = session.ask(question)
    try:
        for piece in pieces:
            print(piece, end="", flush=True)
    finally:
        pieces.close()  # an interrupted answer is kept as far as it came
        print(flush=True)


def converse(session: "ChatSession") -> None:
    """Questions and answers until /exit, the end of the input, or Ctrl-C twice."""
    console = human()
    console.print(tr("/reset begins anew, /system TEXT sets the system prompt, /exit leaves; Ctrl-C stops an answer"))
    interrupted = False
    while True:
        try:
            line = input("> " if sys.stdin.isatty() else "").encode(errors="replace").decode()
            interrupted = False
            if not obey(session, line.strip()):
                return
        except EOFError:
            return
        except KeyboardInterrupt:
            if interrupted:
                return
            interrupted = True
            console.print(tr("stopped; Ctrl-C again leaves"))
        except UserError as error:
            console.print(str(error), markup=False)


def obey(session: "ChatSession", line: str) -> bool:
    """Do what one line asks; false if it asks to leave."""
    command, _, rest = line.partition(" ")
    if command == "/exit":
        return False
    if command == "/reset":
        session.reset()
    elif command == "/system":
        session.system = rest.strip()
        session.reset()
    elif line:
        speak(session, line)
    return True


chat.__doc__ = tr("Talk to a model in the terminal.")


chat.__doc__ = tr("Talk to a model in the terminal.")
