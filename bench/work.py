"""The work that all contenders do: one model with random weights, one tokenizer, the same tokenized rows."""

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from tunesmith.formats import read
from tunesmith.models.nano.families import generate
from tunesmith.models.operations import per_token
from tunesmith.records import Conversation, text_message
from tunesmith.text.render import Rendered, Renderer
from tunesmith.text.template import load_template

REAL = Path(__file__).resolve().parents[2] / "shared/data/tatsu-lab__stanford_alpaca/alpaca_data.json"
WORDS = 32_000
SHAPE = {
    "hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 8, "num_attention_heads": 8,
    "num_key_value_heads": 4, "max_position_embeddings": 4096,
}  # fmt: skip


def conversations(count: int, data: Path | None) -> list[Conversation]:
    """The first rows of a file, by default of Alpaca beside the checkout; practice instructions where there is none."""
    file = data or (REAL if REAL.is_file() else None)
    if file:
        found: list[Conversation] = []
        for item in read([str(file)]):
            if isinstance(item, Conversation):
                found.append(item)
            if len(found) == count:
                break
        return found
    asked = (
        (text_message("user", task.instruction, *([task.input] if task.input else [])), task.answer)
        for task in generate("train", count, 0)
    )
    return [Conversation((question, text_message("assistant", answer))) for question, answer in asked]


def tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """Byte-level BPE fitted to the rows themselves."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<s>", "</s>", "<pad>"]
    made.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=WORDS, initial_alphabet=alphabet, special_tokens=special)
    )
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>", pad_token="<pad>")


def prepare(folder: Path, count: int, data: Path | None) -> dict[str, object]:
    """Write rows.jsonl, llama/ (32,000 words) and qwen/ (151,936 words, tied). Returns facts about the rows."""
    chats = conversations(count, data)
    texts = [part.text for chat in chats for message in chat.messages for part in message.parts]
    words = tokenizer(texts)
    renderer = Renderer(load_template("alpaca"), words)
    rows = [item.examples[0] for item in renderer.render(chats) if isinstance(item, Rendered)]
    lines = [{"ids": list(row.ids), "read": row.weights.index(1.0)} for row in rows]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    torch.manual_seed(0)
    first = llama()
    qwen = Qwen3ForCausalLM(Qwen3Config(vocab_size=151_936, tie_word_embeddings=True, head_dim=64, **SHAPE))
    for name, model in (("llama", first), ("qwen", qwen)):
        model.save_pretrained(folder / name)
        words.save_pretrained(folder / name)
    lengths = [len(line["ids"]) for line in lines]
    return {
        "rows": len(lines), "mean_tokens": round(sum(lengths) / len(lengths), 1), "longest": max(lengths),
        "supervised": round(sum(len(line["ids"]) - line["read"] for line in lines) / sum(lengths), 3),
    }  # fmt: skip


def llama() -> LlamaForCausalLM:
    return LlamaForCausalLM(LlamaConfig(vocab_size=WORDS, tie_word_embeddings=False, **SHAPE))


def operations(tokens: int, head: float = 1.0) -> float:
    """Floating-point operations of training all of the llama model on `tokens`, `head` of them with logits."""
    with torch.device("meta"):
        return tokens * per_token(llama(), head)
