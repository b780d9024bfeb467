"""Rendering against references that were not made here."""

import json
from copy import deepcopy
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast
from transformers.utils.chat_template_utils import render_jinja_template

from tunesmith.errors import UserError
from tunesmith.records import Conversation, Refusal, text_message
from tunesmith.text.render import Renderer
from tunesmith.text.template import Template, load_template
from tunesmith.text.tokenizer import encode

from .test_render import FOUR, failed, one

FIXTURE_TEMPLATE = (
    "{{ bos_token }}A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions. "
    "{% for m in messages %}{% if m.role == 'user' %}{{ (' ' if loop.first else '') + 'USER: ' + m.content + ' ' }}"
    "{% else %}{{ ' ASSISTANT: ' + m.content + eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ ' ASSISTANT:' }}{% endif %}"
)


def test_the_axolotl_vicuna_conversation_has_the_same_1970_ids_and_172_masked(shared, llama):
    """Its answers end with the written-out letters of the end mark, before the mark itself."""
    folder = shared / "axolotl-ai-cloud__axolotl/tests/fixtures"
    turns = json.loads((folder / "conversation.json").read_text())["conversations"]
    expected = json.loads((folder / "conversation.tokenized.json").read_text())
    roles = {"human": "user", "gpt": "assistant"}
    chat = Conversation(
        tuple(
            text_message(roles[turn["from"]], turn["value"] + ("</s>" if turn["from"] == "gpt" else ""))
            for turn in turns
        )
    )
    rendered = one(Renderer(Template("vicuna-old", FIXTURE_TEMPLATE), llama), chat)
    (example,) = rendered.examples
    assert list(example.ids) == expected["input_ids"]
    labels = [token if weight else -100 for token, weight in zip(example.ids, example.weights, strict=True)]
    assert labels == expected["labels"]
    assert (len(labels), labels.count(-100)) == (1970, 172)


def foreign(shared: Path) -> list[Path]:
    return sorted(
        [
            *(shared / "huggingface__trl").rglob("*.jinja"),
            *(shared / "axolotl-ai-cloud__axolotl").rglob("*.jinja"),
            *(shared / "ggerganov__llama.cpp/models/templates").glob("*.jinja"),
        ]
    )


def verdict(path: Path, tokenizer) -> str:
    """Empty when the template passes every rule on four messages, else why not."""
    try:
        renderer = Renderer(load_template(str(path)), tokenizer)
        (rendered,) = renderer.render([FOUR])
    except UserError as error:
        return error.message
    if isinstance(rendered, Refusal):
        return rendered.reason
    return " ".join(failed(renderer, rendered))


def cut(tokenizer: PreTrainedTokenizerFast, size: int = 2000) -> PreTrainedTokenizerFast:
    """The same kind of tokenizer with few of its tokens: each template grows a copy, and whole ones take a second."""
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    special = [token["content"] for token in state["added_tokens"]]
    first = [token for token, place in state["model"]["vocab"].items() if place < size or len(token) == 1]
    kept = [token for token in first if token not in special]
    vocabulary = {token: place for place, token in enumerate([*special, *kept])}
    merges = [pair for pair in state["model"]["merges"] if {*pair, "".join(pair)} <= vocabulary.keys()]
    state["model"] |= {"vocab": vocabulary, "merges": merges}
    state["added_tokens"] = [token | {"id": vocabulary[token["content"]]} for token in state["added_tokens"]]
    words = {name: str(token) for name, token in tokenizer.special_tokens_map.items() if isinstance(token, str)}
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(state)), **words)


@pytest.mark.parametrize("which", ["gpt2", "llama"])
def test_at_least_75_of_90_foreign_templates_pass_and_the_rest_say_why(which, shared, request):
    paths, small = foreign(shared), cut(request.getfixturevalue(which))
    assert len(paths) == 90
    verdicts = {}
    for path in paths:
        verdicts[path.name] = verdict(path, deepcopy(small))
    refused = {name: reason for name, reason in verdicts.items() if reason}
    assert len(paths) - len(refused) >= 75
    assert all("think block" in reason or "undefined" in reason for reason in refused.values()), refused


def pairs(shared: Path) -> list[tuple[Path, Path]]:
    folder = shared / "huggingface__trl/trl/chat_templates"
    training = {path.name.replace("_training", ""): path for path in folder.glob("*_training.jinja")}
    return sorted((folder / name, path) for name, path in training.items() if (folder / name).exists())


def test_trl_template_pairs_give_the_same_ids_and_the_same_mask(shared, gpt2):
    """On one exchange; in longer ones some training versions keep think blocks that inference drops."""
    compared, small = 0, cut(gpt2)
    chat = Conversation(FOUR.messages[:2])
    for inference, training in pairs(shared):
        if verdict(inference, deepcopy(small)):
            continue
        examples = [
            one(Renderer(load_template(str(path)), deepcopy(small)), chat).examples for path in (inference, training)
        ]
        assert [(e.ids, e.weights) for e in examples[0]] == [(e.ids, e.weights) for e in examples[1]], inference.name
        compared += 1
    assert compared >= 18


def test_our_mask_equals_the_generation_marks_of_templates_that_have_them(shared, gpt2):
    """Where a template marks the assistant's words itself, the words that we supervise are the ones it marks."""
    agreed, small = 0, cut(gpt2)
    for _, path in pairs(shared):
        source = path.read_text()
        if verdict(path, deepcopy(small)):
            continue
        renderer = Renderer(Template(path.name, source), deepcopy(small))
        turns = [t for g in one(renderer, Conversation(FOUR.messages[:2])).groups for t in g]
        marked = generation_text(source, renderer)
        assert turns[0].answer in marked, path.name
        stripped = marked.strip()
        agreed += stripped in (turns[0].spoken.strip(), turns[0].answer)
    assert agreed >= 10


def generation_text(source: str, renderer: Renderer) -> str:
    """The text inside the {% generation %} marks, by transformers' own renderer."""
    messages = [{"role": "user", "content": "QUESTION ONE?"}, {"role": "assistant", "content": "Answer alpha."}]
    dialect = renderer.dialect()
    if dialect.style == "parts":
        messages = [{**m, "content": [{"type": "text", "text": m["content"]}]} for m in messages]
    context = {k: v for k, v in dialect.context if k != "tools"}
    (text,), (spans,) = render_jinja_template(
        [messages], chat_template=source, return_assistant_tokens_mask=True, **context
    )
    return "".join(text[start:end] for start, end in spans)


def test_our_jinja_writes_what_transformers_writes(shared):
    """Same text from both engines, for every foreign template that renders."""
    from tunesmith.text.template import write

    messages = [{"role": "user", "content": "Hi <b>&\n你好"}, {"role": "assistant", "content": 'A "quote" é'}]
    context = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "", "unk_token": "", "tools": None}
    same = 0
    for path in foreign(shared):
        source = path.read_text()
        try:
            mine = write(Template(path.name, source), messages, False, **context)
        except UserError:
            continue
        theirs, _ = render_jinja_template([messages], chat_template=source, **{**context, "tools": None})
        assert mine == theirs[0], path.name
        same += 1
    assert same >= 80


@pytest.mark.parametrize("vocabulary", ["llama-spm", "gpt-2", "phi-3"])
def test_llama_cpp_tokenizer_vectors(vocabulary, shared, llama, gpt2):
    """47 texts each; phi-3 shares LLaMA's pieces."""
    folder = shared / "ggerganov__llama.cpp/models"
    texts = (folder / f"ggml-vocab-{vocabulary}.gguf.inp").read_text(encoding="utf-8").split("\n__ggml_vocab_test__\n")
    lines = (folder / f"ggml-vocab-{vocabulary}.gguf.out").read_text().splitlines()
    expected = [[int(token) for token in line.split()] for line in lines]
    got = encode(gpt2 if vocabulary == "gpt-2" else llama, texts)
    equal = [mine == theirs for mine, theirs in zip(got, expected, strict=False)]
    assert len(equal) >= 46
    assert all(equal), [texts[i] for i, same in enumerate(equal) if not same]


def test_every_sentencepiece_file_encodes_as_sentencepiece_or_is_refused(shared):
    import sentencepiece

    from tunesmith.text.tokenizer import from_sentencepiece

    lines = (
        shared / "thinking-machines-lab__tinker-cookbook/tinker_cookbook/example_data/multilingual.txt"
    ).read_text()
    texts = lines.split("\n")
    loaded = 0
    for path in sorted(shared.rglob("*.model")):
        try:
            tokenizer = from_sentencepiece(path, {})
        except UserError:
            continue
        reference = sentencepiece.SentencePieceProcessor(model_file=str(path))
        assert encode(tokenizer, texts) == [reference.encode(text) for text in texts], path
        loaded += 1
    assert loaded >= 7


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("qwen", "ggerganov__llama.cpp/models/templates/Qwen-Qwen2.5-7B-Instruct.jinja"),
        ("llama-3", "axolotl-ai-cloud__axolotl/src/axolotl/utils/chat_templates/templates/llama3.jinja"),
    ],
)
def test_shipped_templates_write_what_the_official_ones_write(name, file, shared):
    from tunesmith.text.template import write

    official, ours = Template("official", (shared / file).read_text()), load_template(name)
    tool = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
    call = {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"type": "function", "function": {"name": "add", "arguments": {"a": 1}}}],
    }
    plain = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "So?"},
    ]
    chats = [(plain, None), ([{"role": "system", "content": "Be brief."}, *plain], None)]
    if name == "qwen":
        chats.append(([plain[0], call, {"role": "tool", "content": "1"}, {"role": "tool", "content": "2"}], [tool]))
    for messages, tools in chats:
        for generate in (False, True):
            context = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>", "tools": tools}
            assert write(ours, messages, generate, **context) == write(official, messages, generate, **context)
