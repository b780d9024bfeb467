"""The command line, run in this process, on a tiny model made from a configuration."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

torch.set_num_threads(1)


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def tunesmith(capfd, monkeypatch):
    """Run `tunesmith words…`; gives exit code, stdout and stderr."""
    from tunesmith.cli.main import main

    def run(*words: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["tunesmith", *map(str, words)])
        capfd.readouterr()
        code = 0
        try:
            main()
        except SystemExit as left:
            code = int(left.code or 0)
        captured = capfd.readouterr()
        return Done(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Path:
    """A byte-level Llama of a few thousand parameters, without a chat template."""
    folder = tmp_path_factory.mktemp("base")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({text: index for index, text in enumerate(alphabet)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(text, special=True) for text in ("<s>", "</s>")])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def rows(tmp_path) -> Path:
    """Twelve alpaca rows; row 5 has an empty answer."""
    file = tmp_path / "rows.jsonl"
    lines = [{"instruction": f"Say {n}.", "input": "", "output": "" if n == 5 else f"{n}!"} for n in range(1, 13)]
    file.write_text("\n".join(json.dumps(line) for line in lines) + "\n")
    return file
