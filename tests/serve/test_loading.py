"""Which engine a model gets, and what must hold before anyone is answered."""

import asyncio
import json
import shutil
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import cast

import pytest
from peft import LoraConfig, PrefixTuningConfig, get_peft_model
from transformers import PreTrainedModel

from tests.serve.conftest import LIMITS
from tests.toys import CONFIGS, byte_tokenizer, tiny_model
from tunesmith.artifact import MANIFEST
from tunesmith.chat import Sampling, generate, open_session
from tunesmith.errors import ProofError, UserError
from tunesmith.recipe import Budget, Lora, Tune
from tunesmith.records import Conversation, text_message
from tunesmith.serve.engines.base import Ask, Step
from tunesmith.serve.engines.draw import EngineError
from tunesmith.serve.loading import all_answers, differs, engine_for, open_models, tongue_of
from tunesmith.serve.tongue import TokenizerTongue
from tunesmith.text.recorded import prove_recorded, recorded_prompts
from tunesmith.text.render import Rendered, Renderer
from tunesmith.text.template import Template, load_template
from tunesmith.tune.job import Job
from tunesmith.tune.run import tune

TONGUE = TokenizerTongue(byte_tokenizer(), None, 256)


@pytest.mark.parametrize("kind", [*CONFIGS, "t5", "prefix"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_every_engine_says_what_plain_decoding_says(kind: str, temperature: float) -> None:
    """Many at once, prompts of all lengths, more than there are slots."""
    model = tiny_model("llama" if kind == "prefix" else kind)
    if kind == "prefix":
        model = get_peft_model(model, PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)).eval()
    engine, proof = engine_for(model, TONGUE, LIMITS)
    try:
        assert engine.name.endswith("continuous batching") == (kind in CONFIGS)
        assert proof.passed
        assert ("encoder" in proof.detail, "soft prompt" in proof.detail) == (kind == "t5", kind == "prefix")
        prompts = [tuple(range(1, length)) for length in (3, 17, 90, 2, 8, 9, 33, 55, 60, 7)]
        sampling = Sampling(temperature, 0.9, 12, seed=4)
        asks = [Ask(prompt, frozenset({9}), sampling, top) for prompt, top in zip(prompts, [None, 2] * 5, strict=True)]
        said = asyncio.run(all_answers(engine, asks))
        assert said == [list(generate(model, prompt, {9}, sampling)) for prompt in prompts]
    finally:
        engine.close()
    assert not engine.alive()


def test_an_engine_that_says_other_things_is_found_out() -> None:
    model = tiny_model()

    class Liar:
        name, context = "liar", 100

        async def answer(self, ask: Ask) -> AsyncGenerator[list[Step], None]:
            for place, token in enumerate(generate(model, ask.ids, (), ask.sampling)):
                yield [Step((token + (place == 3)) % 256)]

    class Broken(Liar):
        async def answer(self, ask: Ask) -> AsyncGenerator[list[Step], None]:
            raise EngineError("no such attention")
            yield []

    assert "differently" in differs(Liar(), model, [(1, 2), (3,)])  # type: ignore[arg-type]
    assert differs(Broken(), model, [(1, 2)]) == "no such attention"  # type: ignore[arg-type]


def test_an_answer_that_nobody_reads_makes_room_for_the_next() -> None:
    for kind in ("llama", "t5"):
        engine, _ = engine_for(tiny_model(kind), TONGUE, LIMITS)
        ask = Ask((1, 2, 3), frozenset(), Sampling(max_new_tokens=150))

        async def left(engine=engine, ask=ask) -> None:
            begun = [engine.answer(ask) for _ in range(8)]
            for steps in begun:
                await anext(steps)
                await steps.aclose()

        asyncio.run(asyncio.wait_for(left(), 20))
        engine.close()


def tuned(folder: Path, assistant: Path, prompts: list[dict[str, object]]) -> Path:
    """A copy of the assistant whose manifest records these prompts."""
    shutil.copytree(assistant, folder)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    (folder / "manifest.json").write_text(json.dumps(manifest | {"prompts": prompts}), encoding="utf-8")
    return folder


def test_an_adapter_on_its_base_says_what_the_terminal_says(assistant: Path, tmp_path: Path) -> None:
    """And no longer what the base says."""
    session = open_session(str(assistant))
    taught = Conversation((text_message("user", "hi"), text_message("assistant", "Ahoy")))
    rendered = [item for item in session.renderer.render([taught]) if isinstance(item, Rendered)]
    made = Job(
        model=session.model,
        tokenizer=session.renderer.tokenizer,
        examples=[example for item in rendered for example in item.examples],
        stage=Tune(
            base=str(assistant),
            adapter="lora",
            lora=Lora(rank=4),
            tune=Budget(epochs=20, batch_size=1, lr=2e-2, precision="fp32", checkpoint_every=10**6),
        ),
        inputs={},
        stop_ids=session.renderer.stop_ids,
    )
    folder = tune(made, tmp_path / "adapted").path
    assert (folder / "adapter_config.json").exists()
    served = open_models([str(folder)], "", LIMITS, lambda line: None)["adapted"]
    session = open_session(str(folder), sampling=Sampling(max_new_tokens=30))
    prompts = [tuple(session.prompt(asked)) for asked in ("hi", "again", "something else")]
    said = asyncio.run(
        all_answers(served.engine, [Ask(prompt, served.tongue.stop_ids, session.sampling) for prompt in prompts])
    )
    served.engine.close()
    assert said == [list(generate(session.model, prompt, session.stop_ids, session.sampling)) for prompt in prompts]
    assert session.renderer.tokenizer.decode(said[0]) == "Ahoy"


@pytest.mark.parametrize("tied", [True, False])
def test_rows_that_were_trained_beside_an_adapter(tied: bool) -> None:
    """peft wraps the embedding then, which no longer says how many rows it has."""
    model = tiny_model("llama", tie_word_embeddings=tied)
    settings = LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"], trainable_token_indices=[3, 5])
    adapted = cast(PreTrainedModel, get_peft_model(model, settings).eval())
    tongue = tongue_of((byte_tokenizer(), None), adapted)
    assert tongue.size == model.config.vocab_size
    engine, proof = engine_for(adapted, tongue, LIMITS)
    engine.close()
    assert proof.passed


def test_an_export_that_was_refused_is_served_with_a_warning(assistant: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(assistant, tmp_path / "page" / "model")
    (tmp_path / "page" / MANIFEST).write_text(json.dumps({"kind": "export", "verdict": "refused"}))
    heard: list[str] = []
    open_models([str(folder)], "", LIMITS, heard.append)["model"].engine.close()
    assert "failed its verification" in heard[0]
    (tmp_path / "page" / MANIFEST).write_text(json.dumps({"kind": "export", "verdict": "passed"}))
    open_models([str(folder)], "", LIMITS, heard.append)["model"].engine.close()
    assert sum("failed" in line for line in heard) == 1


def test_prompts_must_be_those_of_training(assistant: Path, tmp_path: Path) -> None:
    record = recorded_prompts(open_session(str(assistant)).renderer)
    assert len(record) == 3
    same = tuned(tmp_path / "same", assistant, record)
    heard: list[str] = []
    models = open_models([str(same), str(same)], "", LIMITS, heard.append)
    assert list(models) == ["same", "same-2"]
    assert any("training recorded" in line and "(3)" in line for line in heard)
    for served in models.values():
        served.engine.close()
    record[1]["ids"][4] += 1
    other = tuned(tmp_path / "other", assistant, record)
    running = set(threading.enumerate())
    with pytest.raises(ProofError, match="from token 4 on") as refusal:
        open_models([str(same), str(other)], "", LIMITS, heard.append)
    assert refusal.value.exit_code == 3
    assert {thread for thread in threading.enumerate() if not thread.daemon} <= running


def test_another_template_than_that_of_training_is_found_out() -> None:
    tokenizer = byte_tokenizer("<|im_start|>", "<|im_end|>", "</s>")
    tokenizer.eos_token = "</s>"
    record = recorded_prompts(Renderer(load_template("chatml"), tokenizer))
    assert prove_recorded(Renderer(load_template("chatml"), tokenizer).prompt, record).passed
    assert not prove_recorded(Renderer(load_template("alpaca"), tokenizer).prompt, record).passed


def test_a_template_that_writes_the_time_records_nothing() -> None:
    tokenizer = byte_tokenizer("<|im_start|>", "<|im_end|>")
    chatml = load_template("chatml").source
    timed = Template("timed", chatml.replace("{%", "{{ strftime_now('%S') }}{%", 1))
    assert recorded_prompts(Renderer(timed, tokenizer)) == []


def test_a_model_that_is_not_there_is_the_users_error(tmp_path: Path) -> None:
    for name in ("./nowhere", str(tmp_path)):
        with pytest.raises(UserError) as refusal:
            open_models([name], "", LIMITS, lambda text: None)
        assert refusal.value.exit_code == 2


def test_the_seed_of_a_batch_is_that_of_each_answer() -> None:
    """What others draw at the same time changes nothing."""
    model = tiny_model()
    engine, _ = engine_for(model, TONGUE, LIMITS)
    asks = [Ask((1, 2), frozenset(), Sampling(1.0, 1.0, 10, seed)) for seed in (1, 2, 1, 3, 1)]
    said = asyncio.run(all_answers(engine, asks))
    engine.close()
    assert said[0] == said[2] == said[4]
    assert len({tuple(each) for each in said}) == 3
