"""A model exported as GGUF is the same model: prompts, logits, answers, stops."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import LlamaConfig

from tests.export.gguf.models import GROUPED, save_model
from tests.toys import byte_tokenizer
from tunesmith.chat import Sampling, generate, own_template
from tunesmith.errors import UserError
from tunesmith.export.gguf.importance import measure
from tunesmith.export.gguf.modelfile import translated
from tunesmith.export.gguf.vocabulary import choose
from tunesmith.export.gguf.write import open_model, write_words
from tunesmith.export.target import Work
from tunesmith.export.targets.gguf import Gguf, described
from tunesmith.models.gguf_file import read_gguf
from tunesmith.models.llamacpp import LlamaCpp, installed, open_gguf, quantize
from tunesmith.models.load import load_model, load_tokenizer
from tunesmith.records import Conversation, text_message
from tunesmith.text.render import Renderer
from tunesmith.text.template import load_template

gguf = pytest.importorskip("gguf", reason="the package gguf is not installed")
pytestmark = pytest.mark.skipif(not installed(), reason="llama-cpp-python is not installed")


KNOWN = ("hi", "你好，世界", "sing 👩‍👩‍👧")


def learnt() -> list[Conversation]:
    return [Conversation((text_message("user", asked), text_message("assistant", asked * 3))) for asked in KNOWN]


def work(source: Path, template: str = "") -> Work:
    tokenizer = load_tokenizer(str(source))
    made = load_template(template) if template else own_template(str(source), tokenizer)
    return Work(str(source), source, Renderer(made, tokenizer), learnt())


@pytest.fixture(scope="module")
def assistant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model that speaks ChatML."""
    return speaking(save_model(tmp_path_factory.mktemp("assistant"), LlamaConfig(**GROUPED, head_dim=32)))


def speaking(source: Path) -> Path:
    tokenizer = byte_tokenizer("<|im_start|>", "<|im_end|>")
    tokenizer.chat_template = load_template("chatml").source
    tokenizer.save_pretrained(source)
    return source


@pytest.fixture(scope="module")
def opened(assistant: Path, tmp_path_factory: pytest.TempPathFactory) -> LlamaCpp:
    folder = tmp_path_factory.mktemp("export")
    Gguf(quant="F32").write(work(assistant), folder)
    return Gguf(quant="F32").open(folder)


def test_prompts_are_those_of_training(assistant: Path, opened: LlamaCpp) -> None:
    renderer = work(assistant).renderer
    asked = [
        [text_message("user", "hi")],
        [text_message("system", "pirate"), text_message("user", "a\r\nb 你好 👩‍👩‍👧")],
        [
            text_message("user", "say <|im_end|> and <|im_start|>system"),
            text_message("assistant", "x"),
            text_message("user", "y"),
        ],
    ]
    for messages in asked:
        assert opened.prompt(messages) == renderer.prompt(messages)
    assert opened.tokenize("<|im_start|>a") == renderer.tokenizer("<|im_start|>a", add_special_tokens=False).input_ids


def test_a_folder_that_is_named_by_a_dot_has_a_name(assistant: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(assistant)
    model = open_model(assistant)
    words = choose(load_tokenizer(str(assistant)), int(model.config["vocab_size"]))
    assert described(replace(work(assistant), model="."), model, words)["general.name"] == assistant.name


def test_logits_and_answers_are_those_of_the_model(assistant: Path, opened: LlamaCpp) -> None:
    model, stops = load_model(str(assistant)), work(assistant).renderer.stop_ids
    for asked in KNOWN:
        ids = opened.prompt([text_message("user", asked)])
        with torch.no_grad():
            wanted = model(torch.tensor([ids])).logits[0].numpy()
        assert np.abs(opened.logits(ids) - wanted).max() < 1e-4
        assert opened.answer(ids, 40) == list(generate(model, ids, stops, Sampling(max_new_tokens=40)))
    assert len(opened.answer(ids, 2)) == 2
    assert set(stops) <= opened.stop_ids


def test_texts_in_one_batch_do_not_disturb_each_other(assistant: Path, tmp_path: Path) -> None:
    Gguf(quant="F32").write(work(assistant), tmp_path)
    several = open_gguf(tmp_path / "model.gguf", context=256, sequences=3, cache="f32", threads=1)
    texts = {0: list(range(40, 60)), 1: list(range(97, 120)), 2: [65]}
    alone = {number: several.logits(ids) for number, ids in texts.items()}
    for number, ids in texts.items():
        several.begin(number, ids[:-1] if len(ids) > 1 else ids)
    first = several.step()
    assert set(first) == {0, 1, 2}
    assert np.abs(first[0] - alone[0][-2]).max() < 1e-4
    found = several.step({0: texts[0][-1], 1: texts[1][-1]})
    assert set(found) == {0, 1}
    assert np.abs(found[1] - alone[1][-1]).max() < 1e-4
    several.end(0)
    several.begin(0, texts[1])
    assert np.abs(several.step()[0] - alone[1][-1]).max() < 1e-4
    with pytest.raises(UserError, match="room for 1 to 256"):
        several.begin(0, [1] * 257)
    several.close()


def test_a_long_text_takes_several_steps_while_others_go_on(assistant: Path, tmp_path: Path) -> None:
    Gguf(quant="F32").write(work(assistant), tmp_path)
    several = open_gguf(tmp_path / "model.gguf", context=1024, sequences=2, cache="f32", threads=1)
    long = [40 + number % 60 for number in range(700)]
    wanted = several.logits(long)[-1]
    several.begin(1, [70, 71])
    assert set(several.step()) == {1}
    several.begin(0, long)
    assert set(several.step({1: 72})) == {1}
    found = several.step({1: 73})
    assert set(found) == {0, 1}
    assert np.abs(found[0] - wanted).max() < 1e-4
    several.close()


def wide(folder: Path) -> Path:
    shape = {"num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 2, "head_dim": 64}
    return speaking(save_model(folder, LlamaConfig(vocab_size=264, hidden_size=256, intermediate_size=256, **shape)))


def test_importance_is_the_mean_square_of_what_reaches_a_matrix(tmp_path: Path) -> None:
    asked = work(wide(tmp_path / "model"))
    model = open_model(asked.whole)
    found = measure(asked, model)
    loaded, total, count = load_model(str(asked.whole)), 0, 0
    for rendered in asked.renderer.render(asked.calibration):
        for example in rendered.examples:
            with torch.no_grad():
                states = loaded.model.embed_tokens(torch.tensor([example.ids]))
                total += loaded.model.layers[0].input_layernorm(states).square().sum((0, 1)).numpy()
            count += len(example.ids)
    assert found.tokens == count
    assert np.allclose(found.means()["blk.0.attn_q.weight"], total / count, rtol=1e-4)
    matrices = {one.name for one in model.plan("F16") if one.kind == "F16"} - {"token_embd.weight"}
    assert set(found.sums) == matrices


def test_four_bits_travel_with_the_matrix_that_weighed_them(tmp_path: Path) -> None:
    asked = work(wide(tmp_path / "model"))
    for name, target in {
        "ours": Gguf(shard_mb=0),
        "theirs": Gguf(quantizer="llamacpp"),
        "flat": Gguf(importance=False),
    }.items():
        (tmp_path / name).mkdir()
        target.write(asked, tmp_path / name)
    head = read_gguf(tmp_path / "ours" / "imatrix.gguf")
    assert head.fields["general.type"] == "imatrix"
    assert {"blk.1.ffn_down.weight.in_sum2", "blk.1.ffn_down.weight.counts"} <= {place.name for place in head.tensors}
    assert not (tmp_path / "flat" / "imatrix.gguf").exists()
    model = open_model(asked.whole)
    means = measure(asked, model).means()
    plan = {one.name: one for one in model.plan("Q4_K_M")}
    errors = {}
    for name in ("ours", "theirs", "flat"):
        tensors = gguf.GGUFReader(tmp_path / name / "model.gguf").tensors
        read = {one.name: gguf.quants.dequantize(one.data, one.tensor_type) for one in tensors}
        errors[name] = sum(float((means[one] * (read[one] - model.weight(plan[one])) ** 2).sum()) for one in means)
    assert errors["ours"] < 0.97 * errors["flat"]
    assert errors["ours"] ** 0.5 < 1.02 * errors["theirs"] ** 0.5


def test_llamacpp_refuses_what_is_no_model_and_we_say_so(tmp_path: Path) -> None:
    head = tmp_path / "words.gguf"
    write_words(head, {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": ["a"]})
    with pytest.raises(UserError, match="cannot load"):
        open_gguf(head)
    with pytest.raises(UserError, match="quantizer"):
        quantize(head, tmp_path / "out.gguf", 15, {})
    with pytest.raises(UserError, match=r"no model\.gguf"):
        Gguf().open(tmp_path)
    with pytest.raises(UserError, match="Q3_K"):
        Gguf(quant="Q3_K")


def test_shards_are_opened_by_the_first(tmp_path: Path) -> None:
    asked = work(wide(tmp_path / "model"))
    Gguf(quant="F32", shard_mb=1).write(asked, tmp_path)
    assert len(list(tmp_path.glob("model-0000?-of-0000?.gguf"))) > 1
    target = Gguf(quant="F32").open(tmp_path)
    ids = target.prompt([text_message("user", "hi")])
    with torch.no_grad():
        wanted = load_model(str(asked.whole))(torch.tensor([ids])).logits[0].numpy()
    assert np.abs(target.logits(ids) - wanted).max() < 1e-4
    target.close()
    assert "shard_mb=0" in (tmp_path / "Modelfile").read_text()


@pytest.mark.parametrize(
    ("name", "can"), [("chatml", True), ("belle", True), ("vicuna-v1.1", False), ("llama-2", False)]
)
def test_the_modelfile_translates_what_it_can_prove(name: str, can: bool) -> None:
    tokenizer = byte_tokenizer("<|im_start|>", "<|im_end|>")
    tokenizer.add_special_tokens({"eos_token": "</s>", "bos_token": "<s>"})
    go = translated(Renderer(load_template(name), tokenizer))
    assert bool(go) == can
    assert not can or go.count("{{ .Content }}") == 3


def test_the_modelfile_names_file_and_stop(assistant: Path, tmp_path: Path) -> None:
    Gguf(quant="F16").write(work(assistant), tmp_path)
    text = (tmp_path / "Modelfile").read_text()
    assert "FROM ./model.gguf\n" in text
    assert 'PARAMETER stop "<|im_end|>"' in text
    assert '{{ else if eq .Role "user" }}<|im_start|>user\n{{ .Content }}<|im_end|>\n<|im_start|>assistant\n' in text
