"""An Ollama Modelfile: where the weights are, the template, where an answer stops.

Ollama's templates are Go, not Jinja. Ours is translated where what it writes is the same words around every message
of a role, and the translation is proved on conversations; else Ollama is left to find the template within the GGUF.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from tunesmith.errors import UserError
from tunesmith.records import Message, text_message
from tunesmith.text.render import Renderer

SYSTEM, USER, ANSWER, LAST = "Xsystemx", "Xuserx", "Xanswerx", "Xlastx"
SETTINGS = {"temperature": "temperature", "top_p": "top_p", "top_k": "top_k", "repetition_penalty": "repeat_penalty"}
Write = Callable[[Sequence[Message]], str]
TRIALS: tuple[tuple[tuple[str, str], ...], ...] = (
    (("user", "hello"),),
    (("system", "be brief"), ("user", "hello")),
    (("user", "one"), ("assistant", "two"), ("user", "three")),
    (("system", "你好"), ("user", "a\nb"), ("assistant", "c\n\nd"), ("user", "e"), ("assistant", "f"), ("user", "g")),
)


@dataclass(frozen=True, slots=True)
class Frame:
    """The words around messages: before all, around the system prompt, around a question, after an answer.

    What follows a question is also what opens the next answer.
    """

    head: str
    before_system: str
    after_system: str
    before_user: str
    after_user: str
    after_answer: str

    def write(self, messages: Sequence[Message]) -> str:
        """What the translated template writes."""
        around = {
            "system": (self.before_system, self.after_system),
            "user": (self.before_user, self.after_user),
            "assistant": ("", self.after_answer),
        }
        return self.head + "".join(around[one.role][0] + one.text + around[one.role][1] for one in messages)

    def go(self) -> str:
        """The same as a Go template."""
        return (
            f"{self.head}{{{{ range .Messages }}}}"
            f'{{{{ if eq .Role "system" }}}}{self.before_system}{{{{ .Content }}}}{self.after_system}'
            f'{{{{ else if eq .Role "user" }}}}{self.before_user}{{{{ .Content }}}}{self.after_user}'
            f"{{{{ else }}}}{{{{ .Content }}}}{self.after_answer}{{{{ end }}}}{{{{ end }}}}"
        )


def messages(turns: Sequence[tuple[Any, str]]) -> tuple[Message, ...]:
    return tuple(text_message(role, text) for role, text in turns)


def translated(renderer: Renderer) -> str:
    """The Go template that writes what the renderer's template does; empty where there is none that provably does."""

    def write(asked: Sequence[Message]) -> str:
        return renderer.dialect().prompt(renderer.template, tuple(asked), ())

    try:
        frame = learn_frame(write)
        if frame is None or any(mark in "".join(astuple(frame)) for mark in ("{{", '"""')):
            return ""
        same = all(frame.write(messages(trial)) == write(messages(trial)) for trial in TRIALS)
    except UserError:
        return ""
    return frame.go() if same else ""


def learn_frame(write: Write) -> Frame | None:
    """The words around messages, from two conversations with marked words."""
    full = write(messages((("system", SYSTEM), ("user", USER), ("assistant", ANSWER), ("user", LAST))))
    short = write(messages((("user", USER),)))
    try:
        start, rest = full.split(SYSTEM)
        between, rest = rest.split(USER)
        turn, rest = rest.split(ANSWER)
        again, end = rest.split(LAST)
        alone, finish = short.split(USER)
    except ValueError:
        return None
    shared = shared_end(between, again, alone)
    head = alone.removesuffix(shared)
    if not start.startswith(head) or not turn == end == finish:
        return None
    return Frame(head, start.removeprefix(head), between.removesuffix(shared), shared, turn, again.removesuffix(shared))


def shared_end(first: str, *others: str) -> str:
    """The longest text that all of these end with."""
    return next(first[cut:] for cut in range(len(first) + 1) if all(one.endswith(first[cut:]) for one in others))


def write_modelfile(
    path: Path, weights: Path, renderer: Renderer, whole: Path, notes: Sequence[str] = (), adapter: str = ""
) -> None:
    """The Modelfile beside the weights and the adapter on them; `notes` are put into it as comments."""
    lines = [f"# {note}" for note in notes]
    lines.append(f"FROM ./{weights.name}")
    if adapter:
        lines.append(f"ADAPTER ./{adapter}")
    if go := translated(renderer):
        lines.append(f'TEMPLATE """{go}"""')
    else:
        lines.append("# No TEMPLATE: this chat template says more than Ollama's can; Ollama looks for it in the GGUF.")
    control = {number: text for text, number in renderer.control.items()}
    lines += [f"PARAMETER stop {json.dumps(control[number], ensure_ascii=False)}" for number in renderer.stop_ids]
    lines += [f"PARAMETER {name} {value}" for name, value in sampling(whole).items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def sampling(whole: Path) -> dict[str, Any]:
    """How the model's own settings say that answers are drawn."""
    file = whole / "generation_config.json"
    said = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return {ours: said[name] for name, ours in SETTINGS.items() if said.get(name) is not None}
