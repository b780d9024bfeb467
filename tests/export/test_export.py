"""A model goes out whole, verified and documented, or not at all."""

import errno
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.export.conftest import NEW, QUICK, Quiet, adapter
from tunesmith import recipe
from tunesmith.config import from_words
from tunesmith.errors import UserError
from tunesmith.export import whole
from tunesmith.export.checking import check
from tunesmith.export.exporting import Exported, export
from tunesmith.export.targets.merged import Merged
from tunesmith.models.load import load_model
from tunesmith.models.surgery.ia3 import Ia3
from tunesmith.models.surgery.lora import Lora
from tunesmith.models.surgery.prompt import Prompt

IDS = torch.tensor([[1, 5, *NEW, 9, 250]])
KINDS = {
    **{name: Lora(recipe.Lora(rank=4, variant=name), NEW) for name in ("plain", "rslora", "dora", "pissa")},
    "ia3": Ia3(new=NEW),
}


def merge(model: Path, out: Path, rows: Path | None, watch: Quiet, *words: str) -> Exported:
    data = (str(rows),) if rows else ()
    return export(str(model), "merged", out, data, from_words([*QUICK, *words]), watch)


def logits(folder: Path) -> torch.Tensor:
    return load_model(str(folder))(IDS).logits.detach()


@pytest.mark.parametrize("kind", KINDS)
def test_every_adapter_that_changes_weights_goes_into_them(
    kind: str, base: Path, rows: Path, tmp_path: Path, watch: Quiet
) -> None:
    tuned = adapter(base, tmp_path / "adapter", KINDS[kind])
    assert not torch.allclose(logits(tuned), logits(base), atol=0.1)
    made = merge(tuned, tmp_path / "out", rows, watch, "dtype=fp32")
    assert made.passed, made.to_json()
    plain = AutoModelForCausalLM.from_pretrained(made.out)
    assert not (made.out / "adapter_config.json").exists()
    torch.testing.assert_close(plain(IDS).logits, logits(tuned), rtol=1e-4, atol=1e-3)
    if kind == "plain":
        changed = load_model(str(base)).get_input_embeddings().weight[list(NEW)]
        assert not torch.allclose(plain.get_input_embeddings().weight[list(NEW)], changed)
        assert plain.get_output_embeddings().weight is not plain.get_input_embeddings().weight or (
            plain.config.tie_word_embeddings
        )


def test_an_export_says_what_it_is(base: Path, rows: Path, tmp_path: Path, watch: Quiet) -> None:
    tuned = adapter(base, tmp_path / "adapter", KINDS["plain"])
    made = merge(tuned, tmp_path / "out", rows, watch)
    told = made.to_json()
    assert {"out", "to", "verdict", "proofs", "files"} <= set(told)
    assert told["verdict"] == "passed"
    assert {"merge.mean_kl", "prompt_ids", "mean_kl", "greedy_agreement", "loss_change", "score_change"} <= {
        proof["name"] for proof in told["proofs"]
    }
    manifest = json.loads((made.out / "manifest.json").read_text())
    assert [parent["name"] for parent in manifest["parents"]] == ["adapter", base.name]
    assert manifest["inputs"] == {str(rows): manifest["inputs"][str(rows)]}
    assert set(manifest["content"]) == {path.name for path in made.out.iterdir()} - {"manifest.json"}
    assert {file["name"] for file in told["files"]} == set(manifest["content"])
    card = (made.out / "README.md").read_text()
    assert card.startswith("---\nbase_model: ")
    assert "What the model was tuned on is not known." in card
    assert "| ✓ | mean_kl |" in card
    assert str(tmp_path) not in card
    stop = json.loads((made.out / "generation_config.json").read_text())["eos_token_id"]
    assert NEW[1] in stop
    text = AutoTokenizer.from_pretrained(made.out).apply_chat_template(
        [{"role": "user", "content": "x"}], tokenize=False, add_generation_prompt=True
    )
    assert text == "<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize("dtype", ["fp32", "bf16", "fp16"])
def test_weights_are_stored_as_they_were_asked_for(
    dtype: str, chat: Path, rows: Path, tmp_path: Path, watch: Quiet
) -> None:
    words = [f"dtype={dtype}", "limits.answers=0", "limits.next_token=0.5", "limits.loss=1", "limits.mean_kl=0.1"]
    made = merge(chat, tmp_path / "out", rows, watch, *words)
    assert made.passed, made.to_json()
    kinds = {part.dtype for part in load_file(made.out / "model.safetensors").values()}
    assert kinds == {{"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[dtype]}


def test_a_damaged_merge_is_refused_and_set_aside(
    base: Path, rows: Path, tmp_path: Path, watch: Quiet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One layer forgets what the adapter had learnt."""
    tuned = adapter(base, tmp_path / "adapter", KINDS["plain"])
    real = whole.merged

    def damaged(model):
        made = real(model)
        with torch.no_grad():
            made.model.layers[1].mlp.up_proj.weight.copy_(load_model(str(base)).model.layers[1].mlp.up_proj.weight)
        return made

    monkeypatch.setattr(whole, "merged", damaged)
    made = merge(tuned, tmp_path / "out", rows, watch)
    assert not made.passed
    assert made.out == tmp_path / "out.refused"
    assert made.to_json()["verdict"] == "refused"
    card = (made.out / "README.md").read_text()
    assert "Not fit for use" in card
    assert "and verified against" not in card
    assert not (tmp_path / "out").exists()
    assert {proof.name for proof in made.proofs if not proof.passed} >= {"merge.logit_gap", "merge.mean_kl", "mean_kl"}
    assert not (made.out / "golden.json").exists()
    assert [proof.name for proof in check(made.out, watch).proofs if not proof.passed] == ["verdict"]
    with pytest.raises(UserError, match=r"out.refused already exists"):
        merge(tuned, tmp_path / "out", rows, watch)


def test_a_damaged_file_is_refused(
    chat: Path, rows: Path, tmp_path: Path, watch: Quiet, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Merged.write

    def damaged(self, work, folder):
        real(self, work, folder)
        weights = load_file(folder / "model.safetensors")
        weights["model.layers.0.self_attn.v_proj.weight"].zero_()
        save_file(weights, folder / "model.safetensors", {"format": "pt"})

    monkeypatch.setattr(Merged, "write", damaged)
    made = merge(chat, tmp_path / "out", rows, watch)
    assert not made.passed
    assert all(proof.passed for proof in made.proofs if proof.name in ("prompt_ids", "text_ids"))


def test_a_full_disk_leaves_nothing(
    chat: Path, rows: Path, tmp_path: Path, watch: Quiet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self, work, folder):
        (folder / "half").write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Merged, "write", full)
    with pytest.raises(UserError, match="no space is left") as refusal:
        merge(chat, tmp_path / "out", rows, watch)
    assert "nothing was left behind" in refusal.value.cure
    assert [path.name for path in tmp_path.iterdir()] == [rows.name]


def test_a_soft_prompt_is_refused(base: Path, rows: Path, tmp_path: Path, watch: Quiet) -> None:
    tuned = adapter(base, tmp_path / "adapter", Prompt(recipe.Prompt(tokens=4), new=NEW))
    with pytest.raises(UserError, match="cannot go into the weights") as refusal:
        merge(tuned, tmp_path / "out", rows, watch)
    assert "lora" in refusal.value.cure
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", rows.name]


def test_another_base_is_refused(base: Path, rows: Path, tmp_path: Path, watch: Quiet) -> None:
    own = Path(shutil.copytree(base, tmp_path / "own"))
    tuned = adapter(own, tmp_path / "adapter", KINDS["plain"])
    weights = load_file(own / "model.safetensors")
    weights["model.norm.weight"][0] += 1e-3
    save_file(weights, own / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="no longer the one"):
        merge(tuned, tmp_path / "out", rows, watch)


def test_a_model_without_a_template_is_refused(base: Path, rows: Path, tmp_path: Path, watch: Quiet) -> None:
    with pytest.raises(UserError):
        merge(base, tmp_path / "out", rows, watch)


@pytest.mark.parametrize(
    ("word", "chosen"), [("base=better", None), ("base=full", "full"), ("base=dequantised", "dequantised")]
)
def test_an_adapter_over_4_bits_is_merged_into_the_better_base(
    word: str, chosen: str | None, base: Path, rows: Path, tmp_path: Path, watch: Quiet
) -> None:
    pytest.importorskip("bitsandbytes", reason="needs the extra qlora")
    tuned = adapter(base, tmp_path / "adapter", KINDS["plain"], quantized=True)
    made = merge(tuned, tmp_path / "out", rows, watch, word, "dtype=fp32")
    report = json.loads((tmp_path / made.out / "manifest.json").read_text())["merge"]
    measured = {one["base"]: one for one in report["measured"]}
    if chosen:
        assert (report["chosen"], set(measured)) == (chosen, {chosen})
    else:
        assert set(measured) == {"full", "dequantised"}
        assert report["chosen"] == min(measured.values(), key=lambda one: one["loss"])["base"]
    if "dequantised" in measured:
        assert measured["dequantised"]["mean_kl"] < 1e-6
    if "full" in measured:
        assert measured["full"]["mean_kl"] > 1e-3
    assert report["chosen"] in (made.out / "README.md").read_text()


def test_without_data_it_asks_prompts_of_its_own(chat: Path, tmp_path: Path, watch: Quiet) -> None:
    made = merge(chat, tmp_path / "out", None, watch, "dtype=fp32")
    assert made.passed
    assert any("32 prompts of our own" in line for line in watch.lines)
    assert {proof.name: proof.checked for proof in made.proofs}["prompt_ids"] == 32
    assert "score_change" not in {proof.name for proof in made.proofs}


def test_the_data_that_it_was_tuned_on_is_used_while_it_is_the_same(
    chat: Path, rows: Path, tmp_path: Path, watch: Quiet
) -> None:
    from tunesmith.data.inputs import take

    model = Path(shutil.copytree(chat, tmp_path / "model"))
    manifest = {"config": {"data": [str(rows)]}, "inputs": take([str(rows)]).hashes}
    (model / "manifest.json").write_text(json.dumps(manifest))
    made = merge(model, tmp_path / "out", None, watch, "dtype=fp32")
    assert any("tuned on" in line for line in watch.lines)
    assert {proof.name: proof.checked for proof in made.proofs}["prompt_ids"] == 6
    rows.write_text(rows.read_text().replace("yes", "no"))
    merge(model, tmp_path / "again", None, watch, "dtype=fp32")
    assert "of our own" in watch.lines[-2]


def test_too_little_data_is_refused(chat: Path, rows: Path, tmp_path: Path, watch: Quiet) -> None:
    rows.write_text("\n".join(rows.read_text().splitlines()[:5]))
    with pytest.raises(UserError, match="fewer than 8"):
        merge(chat, tmp_path / "out", rows, watch)


def test_an_encoder_decoder_is_refused_whatever_the_form():
    reader = SimpleNamespace(model=SimpleNamespace(config=SimpleNamespace(is_encoder_decoder=True)))
    with pytest.raises(UserError, match="t5 is an encoder–decoder; exports are made of causal models"):
        whole.refuse_other_shapes(reader, "t5")
