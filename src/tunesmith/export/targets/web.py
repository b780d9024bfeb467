"""The target `web`: the chat page, a WebAssembly runtime and the GGUF, as static files that work without a network."""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import Any

from transformers import AutoConfig, PretrainedConfig

from tunesmith.artifact import write_json
from tunesmith.errors import UserError
from tunesmith.export.gguf.mix import QuantName
from tunesmith.export.gguf.probes import probes
from tunesmith.export.gguf.vocabulary import by_number
from tunesmith.export.gguf.write import open_model
from tunesmith.export.lineage import called
from tunesmith.export.subject import Subject
from tunesmith.export.target import Work
from tunesmith.export.targets.gguf import Gguf
from tunesmith.messages import tr
from tunesmith.records import text_message
from tunesmith.serve.tongue import takes_system
from tunesmith.text.guard import guarded
from tunesmith.text.render import Renderer
from tunesmith.text.tokenizer import encode

PIECE = 8 * 2**20  # bytes of the model that the page checks and keeps at once
PROOFS = 100  # texts, besides scraps, on which a browser proves its tokenizer
BESIDE = 100 * 2**20  # bytes of memory that the runtime and its working space take
RUNTIME = {
    "wllama/index.js": "@wllama/wllama/esm/index.js",
    "wllama/wllama.wasm": "@wllama/wllama/esm/wasm/wllama.wasm",
    "wllama/LICENCE": "@wllama/wllama/LICENCE",
    "wllama/compat/wllama.js": "@wllama/wllama-compat/wasm/wllama.js",
    "wllama/compat/wllama.wasm": "@wllama/wllama-compat/wasm/wllama.wasm",
    "huggingface/jinja.js": "@huggingface/jinja/dist/index.js",
    "huggingface/jinja.LICENSE": "@huggingface/jinja/LICENSE",
    "huggingface/tokenizers.js": "@huggingface/tokenizers/dist/tokenizers.min.mjs",
    "huggingface/tokenizers.LICENSE": "@huggingface/tokenizers/LICENSE",
}
OWN = ("index.html", "clock.js", "device.js", "pieces.js", "prompts.js", "stream.js", "sw.js")
SERVED_ONLY = ("index.html", "main.js", "http.js", "sse.js")  # files of the chat page that only talk to a server


@dataclass(frozen=True, slots=True)
class Web:
    """A folder of static files that runs the model inside the browser, on the device, without a network."""

    quant: QuantName = "Q4_K_M"  # precision of the weights, as for the target gguf
    context: int = 4096  # longest conversation in tokens; no more than the model has positions

    def __post_init__(self) -> None:
        if self.context < 1:
            raise UserError(tr("context={size} leaves no room for a token", size=self.context), tr("use 1 or more"))

    def write(self, work: Work, folder: Path) -> None:
        """index.html and what it needs, the runtime in wllama/, the GGUF in model/, and its checks in model.json."""
        runtime = runtime_folder()
        copy_page(folder)
        for name, source in RUNTIME.items():
            copy(runtime / source, folder / name)
        write_model(self.quant, work, folder / "model")
        name = called(work.model)
        write_json(folder / "app.webmanifest", web_manifest(name))
        write_json(folder / "prompts.json", prompts(work.renderer))
        write_json(folder / "model.json", described(name, work, folder / "model", self.context))
        write_files_list(folder)

    def open(self, folder: Path) -> Subject:
        """The GGUF in it, as llama.cpp computes it."""
        return Gguf(self.quant).open(folder / "model")


def runtime_folder() -> Path:
    """Where npm puts the runtime. Raises UserError where a file of it is missing."""
    folder = package("export/web") / "node_modules"
    for source in RUNTIME.values():
        if not (folder / source).is_file():
            raise UserError(tr("the runtime for browsers is not here: {path}", path=folder / source), "make setup-web")
    return folder


def package(path: str) -> Path:
    """A folder of data in this package."""
    return Path(str(resources.files("tunesmith"))) / path


def copy_page(folder: Path) -> None:
    """The chat page, with the files that find the model on the device in place of those that ask a server."""
    page = package("serve/page")
    for file in sorted(page.rglob("*")):
        name = file.relative_to(page)
        if file.is_file() and str(name) not in SERVED_ONLY:
            copy(file, folder / name)
    for own in OWN:
        copy(package("export/web") / own, folder / own)


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def write_model(quant: QuantName, work: Work, folder: Path) -> None:
    """The GGUF that the page alone reads: it tokenizes by itself, so tokens have their numbers for names."""
    folder.mkdir()
    model = open_model(work.whole)
    words = by_number(work.renderer.tokenizer, int(model.config["vocab_size"]))
    Gguf(quant).write_weights(work, model, words, folder)
    (folder / "imatrix.gguf").unlink(missing_ok=True)


def described(name: str, work: Work, folder: Path, context: int) -> dict[str, Any]:
    """What the page must know before it loads the model.

    Sizes and `memory` are bytes; `pieces` are the SHA-256 of each run of `piece` bytes of a file.
    """
    config = AutoConfig.from_pretrained(work.whole)
    room = min(context, getattr(config, "max_position_embeddings", None) or context)
    files = [checked(file) for file in sorted(folder.iterdir())]
    size = sum(file["size"] for file in files)
    return {
        "name": name,
        "context": room,
        "system": takes_system(work.renderer.prompt),
        "size": size,
        "memory": size + room * cached(config) + BESIDE,
        "piece": PIECE,
        "files": files,
    }


def prompts(renderer: Renderer) -> dict[str, Any]:
    """What turns a conversation into ids besides the GGUF's template and tokenizer, and what proves that it does."""
    dialect = renderer.dialect()
    return {
        "context": dict(dialect.context),
        "parts": dialect.style == "parts",
        "control": renderer.control,
        "proof": list(proof(renderer, probes(renderer.tokenizer, PROOFS))),
    }


def proof(renderer: Renderer, texts: Sequence[str]) -> Iterator[tuple[list[dict[str, str]], list[int]]]:
    """Conversations of three messages each, with their ids at a time that never changes."""
    dialect = renderer.dialect()
    still = replace(dialect, context=(*dialect.context, ("strftime_now", lambda form: form)))
    for first in range(0, len(texts) - 2, 3):
        asked, answered, again = texts[first : first + 3]
        turns = [text_message("user", asked), text_message("assistant", answered), text_message("user", again)]
        text = still.prompt(renderer.template, guarded(turns, renderer.control), ())
        yield [{"role": turn.role, "content": turn.text} for turn in turns], encode(renderer.tokenizer, [text])[0]


def cached(config: PretrainedConfig) -> int:
    """Bytes that one token takes in the cache: a key and a value for each layer, in half precision."""
    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    return 2 * 2 * int(config.num_hidden_layers * (getattr(config, "num_key_value_heads", None) or heads) * width)


def checked(file: Path) -> dict[str, Any]:
    """A file's name, size and checksums, read once."""
    whole, pieces = sha256(), []
    for piece in runs(file):
        whole.update(piece)
        pieces.append(sha256(piece).hexdigest())
    return {"name": file.name, "size": file.stat().st_size, "sha256": whole.hexdigest(), "pieces": pieces}


def runs(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while piece := stream.read(PIECE):
            yield piece


def web_manifest(name: str) -> dict[str, Any]:
    """With it a phone offers to install the page as an application."""
    icon = {"src": "icon.svg", "sizes": "any", "type": "image/svg+xml"}
    return {"name": name, "short_name": name[:12], "start_url": "./", "display": "standalone", "icons": [icon]}


def write_files_list(folder: Path) -> None:
    """files.js: what the service worker keeps; the version changes with any byte of it."""
    names = sorted(
        name
        for file in folder.rglob("*")
        if file.is_file() and (name := file.relative_to(folder).as_posix()).partition("/")[0] not in ("model", "sw.js")
    )
    version = sha256(b"".join(sha256((folder / name).read_bytes()).digest() for name in names)).hexdigest()
    app = {"version": version[:16], "files": ["./", *names]}
    (folder / "files.js").write_text(f"self.APP = {json.dumps(app, indent=1)};\n", encoding="utf-8")
