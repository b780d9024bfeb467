"""The model that is shipped."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tunesmith.models import nano
from tunesmith.models.nano.tokenizer import build


@pytest.fixture(scope="module")
def model():
    return AutoModelForCausalLM.from_pretrained(nano.path(), dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(nano.path())


def test_it_is_at_most_ten_million_parameters_and_sixteen_megabytes(model):
    assert model.num_parameters() <= 10_000_000
    assert (nano.path() / "model.safetensors").stat().st_size <= 16_000_000


def test_it_has_a_card_with_licence_data_and_the_command_that_remakes_it():
    card = (nano.path() / "README.md").read_text(encoding="utf-8")
    for words in ("license: apache-2.0", "tunesmith run nano_base --out OUT", "## Data", "## Training", "## Limits"):
        assert words in card


def test_its_tokenizer_is_the_one_that_the_code_builds():
    assert json.loads((nano.path() / "tokenizer.json").read_text(encoding="utf-8")) == json.loads(build().to_str())


def test_it_is_a_base_without_a_chat_template(tokenizer):
    assert tokenizer.chat_template is None
    assert not (nano.path() / "chat_template.jinja").exists()


@pytest.mark.parametrize(
    ("text", "follows"),
    [
        ("dog: 狗\ncat: 猫\ntiger: ", "老虎"),
        ("The opposite of big is ", "small"),
        ("大象的英文是 ", "elephant"),
        ("tiger in Chinese is ", "老虎"),
        ("“猫”属于", "动物"),
    ],
)
@torch.inference_mode()
def test_it_continues_plain_text_sensibly(model, tokenizer, text: str, follows: str):
    ids = tokenizer.encode(text, return_tensors="pt")
    wanted = len(tokenizer.encode(follows))
    given = model.generate(ids, max_new_tokens=wanted, do_sample=False)[0, ids.shape[1] :]
    assert tokenizer.decode(given) == follows
