"""The exact text of each shipped template, as its authors wrote it."""

import pytest

from tunesmith.records import Message, Part, text_message
from tunesmith.text.template import as_dict, load_template, write

WITH_INPUT = Message("user", (Part(text="Translate.", name="instruction"), Part(text="cat", name="input")))
PLAIN = text_message("user", "Say hi.")
REPLY = text_message("assistant", "Hi.")
VICUNA = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions. "
)
BELOW = "Below is an instruction that describes a task"
WRITE = "Write a response that appropriately completes the request.\n\n"

GOLDEN = {
    ("alpaca", (PLAIN,)): f"<s>{BELOW}. {WRITE}### Instruction:\nSay hi.\n\n### Response:",
    ("alpaca", (WITH_INPUT,)): f"<s>{BELOW}, paired with an input that provides further context. {WRITE}"
    "### Instruction:\nTranslate.\n\n### Input:\ncat\n\n### Response:",
    ("vicuna-v1.1", (PLAIN, REPLY, PLAIN)): f"<s>{VICUNA}USER: Say hi. ASSISTANT: Hi.</s>USER: Say hi. ASSISTANT:",
    ("belle", (PLAIN, REPLY, PLAIN)): "Human: \nSay hi.\n\nAssistant: \nHi.</s>Human: \nSay hi.\n\nAssistant: \n",
    ("tulu", (PLAIN, REPLY, PLAIN)): "<s><|user|>\nSay hi.\n<|assistant|>\nHi.</s>\n<|user|>\nSay hi.\n<|assistant|>\n",
    ("dolly", (WITH_INPUT,)): f"{BELOW}. {WRITE}### Instruction:\nTranslate.\n\nInput:\ncat\n\n### Response:\n",
    ("ultralm", (PLAIN, REPLY, PLAIN)): "<s>User: Say hi.</s>\nAssistant: Hi.</s>\nUser: Say hi.</s>\nAssistant: ",
    ("chatml", (PLAIN,)): "<|im_start|>user\nSay hi.<|im_end|>\n<|im_start|>assistant\n",
    ("flan-t5", (WITH_INPUT,)): "<s>Translate.\n\ncat</s>",
    ("flan-t5", (PLAIN, REPLY, PLAIN)): "<s>User: Say hi.\nAssistant: Hi.\nUser: Say hi.</s>",
    ("llama-2", (PLAIN, REPLY, PLAIN)): "<s>[INST] Say hi. [/INST] Hi. </s>[INST] Say hi. [/INST]",
}


@pytest.mark.parametrize(("name", "messages"), list(GOLDEN))
def test_the_prompt_is_letter_for_letter_the_published_one(name, messages):
    context = {"bos_token": "<s>", "eos_token": "</s>", "tools": None}
    assert write(load_template(name), [as_dict(m) for m in messages], True, **context) == GOLDEN[name, messages]


def test_an_answer_closes_as_published():
    context = {"bos_token": "<s>", "eos_token": "</s>", "tools": None}
    closed = {
        name: write(load_template(name), [as_dict(PLAIN), as_dict(REPLY)], False, **context) for name, _ in GOLDEN
    }
    assert closed["alpaca"].endswith("### Response:Hi.</s>")
    assert closed["tulu"].endswith("<|assistant|>\nHi.</s>")
    assert closed["dolly"].endswith("### Response:\nHi.\n\n### End")
    assert closed["ultralm"].endswith("\nAssistant: Hi.</s>")
    assert closed["flan-t5"] == "<s>Say hi.</s>Hi.</s>"
    assert closed["belle"].endswith("Assistant: \nHi.</s>")
