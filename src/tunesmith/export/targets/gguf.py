"""The target `gguf`: one file that llama.cpp, Ollama and the browser run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tunesmith.errors import UserError
from tunesmith.export.gguf.importance import measure, write_importance
from tunesmith.export.gguf.mix import QUANTS, QuantName
from tunesmith.export.gguf.modelfile import write_modelfile
from tunesmith.export.gguf.vocabulary import Field, Vocabulary, choose
from tunesmith.export.gguf.write import Model, open_model, write_model, write_requantized
from tunesmith.export.lineage import called
from tunesmith.export.settings import EIGHT_BITS, EXACT, FOUR_BITS, HALF, Limits
from tunesmith.export.target import Work
from tunesmith.messages import tr
from tunesmith.models.llamacpp import LlamaCpp, library, open_gguf
from tunesmith.text.render import Renderer

CONTEXT = 4096  # tokens that a verification has room for
LIMITS = {
    "F32": replace(EXACT, logit_gap=5e-3), "F16": HALF, "BF16": HALF, "Q8_0": EIGHT_BITS, "Q6_K": EIGHT_BITS,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Gguf:
    """GGUF for llama.cpp, Ollama and the browser, with an importance matrix and a Modelfile."""

    quant: QuantName = "Q4_K_M"  # precision: F32, F16, BF16, Q8_0, Q6_K, Q5_K_M or Q4_K_M
    quantizer: Literal["numpy", "llamacpp"] = "numpy"  # who rounds: ours, or llama.cpp's own (extra llamacpp)
    importance: bool = True  # weigh rounding errors by what the calibration conversations make the model read
    shard_mb: int = 512  # largest file in megabytes, browsers take no larger one; 0 for one file

    def __post_init__(self) -> None:
        if self.quant not in QUANTS:
            raise UserError(
                tr("quant={quant} is not known", quant=self.quant), tr("use one of {names}", names=", ".join(QUANTS))
            )
        if self.shard_mb < 0:
            raise UserError(tr("shard_mb={size} is negative", size=self.shard_mb), tr("use 0 for a single file"))

    @property
    def limits(self) -> Limits:
        """What may be lost at this precision. llama.cpp looks GELU up in a table of half precision, even in F32."""
        return LIMITS.get(QUANTS[self.quant].base, FOUR_BITS)

    def write(self, work: Work, folder: Path) -> None:
        """model.gguf or its shards, Modelfile, and imatrix.gguf where one was measured."""
        if self.quantizer == "llamacpp":
            library()
        model = open_model(work.whole)
        words = choose(work.renderer.tokenizer, int(model.config["vocab_size"]))
        files = self.write_weights(work, model, words, folder)
        write_modelfile(folder / "Modelfile", files[0], work.renderer, work.whole, notes(words, files))

    def write_weights(self, work: Work, model: Model, words: Vocabulary, folder: Path) -> list[Path]:
        """model.gguf or its shards, with the tokens that `words` names; imatrix.gguf where one was measured."""
        means = {}
        if self.importance and work.calibration and QUANTS[self.quant].base.endswith("_K"):
            found = measure(work, model)
            write_importance(folder / "imatrix.gguf", found, work.model)
            means = found.means()
        write = write_requantized if self.quantizer == "llamacpp" else write_model
        fields = described(work, model, words)
        return write(folder / "model.gguf", model, self.quant, fields, means, self.shard_mb * 1_000_000)

    def open(self, folder: Path) -> LlamaCpp:
        """The file as llama.cpp computes it, keys and values in full precision, with as many threads as torch has."""
        import torch

        return open_gguf(first_file(folder), context=CONTEXT, cache="f32", threads=torch.get_num_threads())


def described(work: Work, model: Model, words: Vocabulary) -> dict[str, Field]:
    """Name, tokenizer, template and where an answer ends."""
    return {"general.name": called(work.model)} | words.written() | roles(work.renderer) | proof(words)


def proof(words: Vocabulary) -> dict[str, Field]:
    return {"tunesmith.tokenizer.texts": words.texts, "tunesmith.tokenizer.texts_split_otherwise": words.wrong}


def roles(renderer: Renderer) -> dict[str, Field]:
    """The tokens that have an office. Nothing is put before a text: the template writes what stands there."""
    tokenizer = renderer.tokenizer
    numbers = {
        "bos": tokenizer.bos_token_id,
        "eos": tokenizer.eos_token_id if tokenizer.eos_token_id is not None else renderer.stop_ids[0],
        "eot": renderer.stop_ids[0],
        "unknown": tokenizer.unk_token_id,
        "padding": tokenizer.pad_token_id,
    }
    fields: dict[str, Field] = {
        f"tokenizer.ggml.{role}_token_id": int(number) for role, number in numbers.items() if number is not None
    }
    return fields | {
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.ggml.add_eos_token": False,
        "tokenizer.chat_template": renderer.chat_template,
    }


def notes(words: Vocabulary, files: Sequence[Path]) -> list[str]:
    """What someone who runs the file elsewhere should know."""
    found = []
    if words.own:
        found.append(
            f"llama.cpp has no tokenizer that equals this model's: it splits {words.wrong} of {words.texts} probe texts"
            " otherwise. tunesmith serve uses the exact one, which is in the file too."
        )
    if len(files) > 1:
        found.append("Ollama reads no shards: export with shard_mb=0 to use this file there.")
    return found


def first_file(folder: Path) -> Path:
    """The GGUF of an export, or its first shard."""
    files = sorted(folder.glob("model*.gguf"))
    if not files:
        raise UserError(tr("{folder} holds no model.gguf", folder=folder), tr("export the model again"))
    return files[0]
