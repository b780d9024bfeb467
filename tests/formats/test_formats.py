"""What rows of each format become, and which are refused with which field."""

import json

import pytest

from tunesmith import formats
from tunesmith.errors import UserError
from tunesmith.records import Comparison, Conversation, Document, Message, Origin, Part, Rated, ToolCall

CHAT = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
TURNS = [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}]

# format, row, roles of the whole (prompt and chosen for pairs)
BLANK = dict.fromkeys(("thinking", "parts", "tool_calls", "name", "call_id")) | {"learn": True}
PREPARED = [turn | BLANK for turn in CHAT]
SAID = {"source": "a", "licence": "", "generator": "", "tools": None, "tags": '[["category","x"]]'}
ROWS = [
    ("alpaca", {"instruction": "a", "input": "b", "output": "c"}, "ua"),
    ("alpaca", {"instruction": "a", "response": "c"}, "ua"),
    ("alpaca", {"instruction": "a", "output": "c", "system": "s", "history": [["q", "r"], ["q2", "r2"]]}, "suauaua"),
    (
        "belle",
        {"instruction": "Human:你好\nAssistant:你好！\nHuman:再见\nAssistant:", "output": "走好"},
        "uaua",
    ),
    ("dolly", {"instruction": "a", "context": "b", "response": "c", "category": "qa"}, "ua"),
    ("self_instruct", {"instruction": "a", "instances": [{"input": "b", "output": "c"}], "id": "7"}, "ua"),
    ("natural_instructions", {"Definition": ["d"], "input": "b", "output": ["c", "e"]}, "ua"),
    ("natural_instructions", {"definition": "d", "inputs": "b", "targets": "c"}, "ua"),
    ("input_target", {"input": "a", "target": "b"}, "ua"),
    ("input_target", {"inputs_pretokenized": "a", "targets_pretokenized": "b", "inputs": [1], "targets": [2]}, "ua"),
    ("input_target", {"prompt": "a", "completion": "b"}, "ua"),
    ("input_target", {"question": "a", "answer": "b"}, "ua"),
    ("input_target", {"input": [{"role": "system", "content": "s"}, CHAT[0]], "target": "b"}, "sua"),
    ("flan_cot", {"question": "a", "answer": "b", "rationale": "c"}, "ua"),
    ("sharegpt", {"conversations": TURNS}, "ua"),
    ("sharegpt", {"conversations": TURNS * 2, "system": "s"}, "suaua"),
    ("sharegpt", {"items": [{"from": "User", "value": "x"}, {"from": " Bing ", "value": "y"}]}, "ua"),
    ("sharegpt", {"conversation": [{"from": "用户", "value": "x"}, {"from": "助手", "value": "y"}]}, "ua"),
    ("openai", {"messages": CHAT}, "ua"),
    ("openai", {"conversation": [{"role": "system", "content": "s"}, *CHAT]}, "sua"),
    ("ultrachat", {"id": "0", "data": ["a", "b", "c", "d"]}, "uaua"),
    ("hh_rlhf", {"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: a\n\nAssistant: c"}, "ua"),
    ("preference", {"prompt": "a", "chosen": "b", "rejected": "c"}, "ua"),
    ("preference", {"prompt": "a", "chosen": "b", "rejected": "c", "system": "s"}, "sua"),
    ("preference", {"chosen": CHAT, "rejected": [CHAT[0], {"role": "assistant", "content": "no"}]}, "ua"),
    ("preference", {"prompt": CHAT[:1], "chosen": CHAT[1:], "rejected": [{"role": "assistant", "content": "x"}]}, "ua"),
    ("preference", {"prompt": "hi", "chosen": CHAT, "rejected": [CHAT[0], {"role": "gpt", "content": "no"}]}, "ua"),
    ("preference", {"instruction": "a", "input": "b", "chosen": "c", "rejected": "d"}, "ua"),
    ("preference", {"conversations": TURNS[:1], "chosen": TURNS[1], "rejected": {"from": "gpt", "value": "n"}}, "ua"),
    ("preference", {"instruction": "a", "output_1": "b", "output_2": "c", "preference": 2}, "ua"),
    ("prepared", {"messages": PREPARED, "file": "a.json", "line": 1, "record": 0} | SAID, "ua"),
    ("kto", {"messages": CHAT, "label": True}, "ua"),
    ("kto", {"prompt": "a", "completion": "b", "label": False}, "ua"),
    ("kto", {"prompt": "a", "completion": "b", "label": "true"}, "ua"),
    ("prompts", {"question_id": 1, "category": "x", "turns": ["a", "b"]}, "uu"),
    ("prompts", {"question_id": 1, "text": "a"}, "u"),
    ("prompts", {"prompt": "a"}, "u"),
    ("prompts", {"instruction": "a", "input": "b"}, "u"),
    ("prompts", {"messages": CHAT[:1], "ground_truth": "3"}, "u"),
    ("preference", {"prompt": "a", "chosen": "b", "rejected": "c", "category": "x", "id": 7}, "ua"),
    ("text", {"text": "words"}, ""),
    ("text", {"text": "words", "category": "x"}, ""),
    ("text", "words", ""),
]


def roles(record):
    messages = {
        Conversation: lambda: record.messages,
        Comparison: lambda: record.prompt + record.chosen,
        Rated: lambda: record.conversation.messages,
        Document: tuple,
    }[type(record)]()
    return "".join(message.role[0] for message in messages)


@pytest.mark.parametrize(("format", "row", "expected"), ROWS)
def test_each_layout_is_told_by_its_content_and_read(save, read, format, row, expected):
    path = save("rows.jsonl", [row])
    assert formats.detect(path) == format
    (record,), refused = read(path)
    assert roles(record) == expected
    assert not refused
    assert record.origin.line == 1


@pytest.mark.parametrize(("format", "row", "expected"), ROWS)
def test_what_is_written_reads_back_the_same(save, read, format, row, expected):
    path = save("rows.jsonl", [row])
    (record,), _ = read(path)
    written = formats.named(format).write(record)
    assert read(save("rows.jsonl", [written]), format=format) == ([record], [])


@pytest.mark.parametrize(
    ("row", "format", "field", "reason"),
    [
        ({"conversations": TURNS[:1]}, "sharegpt", "conversations[0].value", "the conversation ends with the user"),
        (
            {"conversations": [*TURNS, {"from": "cat", "value": "x"}]},
            "auto",
            "conversations[2].from",
            "unknown role 'cat'",
        ),
        (
            {"conversations": [*TURNS, {"from": "gpt", "value": "x"}]},
            "auto",
            "conversations[2].value",
            "two assistant turns",
        ),
        ({"conversations": [TURNS[0], *TURNS]}, "auto", "conversations[1].value", "two user turns in a row"),
        ({"conversations": TURNS[1:]}, "auto", "conversations[0].value", "the assistant speaks before the user"),
        (
            {"conversations": [*TURNS, {"from": "system", "value": "x"}]},
            "auto",
            "conversations[2].value",
            "a system message",
        ),
        (
            {"conversations": [TURNS[0], {"from": "gpt", "value": 5}]},
            "auto",
            "conversations[1].value",
            "is the number 5",
        ),
        ({"conversations": [TURNS[0], {"from": "gpt", "value": ""}]}, "auto", "conversations[1].value", "is empty"),
        ({"conversations": [TURNS[0], {"from": 3, "value": "x"}]}, "auto", "conversations[1].from", "unknown role int"),
        ({"conversations": []}, "sharegpt", "conversations", "is an empty list"),
        ({"conversations": "text"}, "sharegpt", "conversations", "is a text, not a list"),
        ({"conversations": [*TURNS, "x"]}, "auto", "conversations[2]", "is a text, not an object"),
        (
            {"conversations": [TURNS[0], {"from": "function_call", "value": "{"}]},
            "auto",
            "conversations[1].value",
            "not JSON",
        ),
        ({"conversations": TURNS, "tools": "none"}, "auto", "tools", "is text that is not JSON"),
        (
            {"conversations": [{"from": "human", "value": "<image>?"}, TURNS[1]], "images": ["1", "2"]},
            "auto",
            "images",
            "to 1 and 2",
        ),
        ({"messages": CHAT[:1]}, "openai", "messages[0]", "the conversation ends with the user"),
        (
            {"messages": [*CHAT, {"role": "user", "content": "x"}]},
            "auto",
            "messages[2]",
            "the conversation ends with the user",
        ),
        ({"messages": [*CHAT, {"role": "tool", "content": "x"}]}, "auto", "messages[2]", "ends with a tool result"),
        (
            {"messages": [CHAT[0], {"role": "tool", "content": "x"}]},
            "auto",
            "messages[1]",
            "no assistant message asked for",
        ),
        ({"messages": [CHAT[0], {"role": "assistant", "content": None}]}, "auto", "messages[1].content", "is missing"),
        ({"messages": [CHAT[0], {"role": "assistant", "content": []}]}, "auto", "messages[1].content", "is empty"),
        ({"messages": [CHAT[0], {**CHAT[1], "weight": 0.5}]}, "auto", "messages[1].weight", "not 0 or 1"),
        (
            {"messages": [CHAT[0], {"role": "assistant", "content": [{"type": "smell"}]}]},
            "auto",
            "messages[1].content[0].type",
            "'smell'",
        ),
        ({"instruction": "a", "output": "b", "history": [["q"]]}, "auto", "history[0]", "is not a pair"),
        ({"instruction": "a", "output": "b", "history": [["q", ""]]}, "auto", "history[0][1]", "is empty"),
        ({"instruction": "Human:a\nAssistant:", "output": "b"}, "alpaca", "instruction", "whole dialogue"),
        ({"instruction": "Human:\nAssistant:", "output": "b"}, "belle", "instruction, turn 1", "is empty"),
        ({"instruction": "a", "instances": []}, "auto", "instances", "is an empty list"),
        ({"instruction": "a", "instances": [{"output": ""}]}, "auto", "instances[0].output", "is empty"),
        ({"Definition": "d", "input": "b", "output": [""]}, "auto", "output[0]", "is empty"),
        ({"prompt": "a", "chosen": "b", "rejected": "b"}, "auto", "rejected", "is the same as chosen"),
        ({"prompt": "a", "chosen": "b"}, "auto", "rejected", "is missing"),
        ({"prompt": "a", "chosen": "b", "rejected": ""}, "auto", "rejected", "is empty"),
        (
            {"chosen": CHAT, "rejected": [{"role": "user", "content": "x"}, CHAT[1]]},
            "auto",
            "rejected",
            "answers another question",
        ),
        (
            {"instruction": "a", "output_1": "b", "output_2": "c", "preference": 0},
            "auto",
            "preference",
            "is neither 1 nor 2",
        ),
        (
            {"chosen": "\n\nHuman: a\n\nAssistant:", "rejected": "\n\nHuman: a\n\nAssistant: b"},
            "auto",
            "chosen[1]",
            "is empty",
        ),
        ({"messages": CHAT, "label": "perhaps"}, "kto", "label", "is a text, not a label"),
        ({"prompt": 5}, "prompts", "prompt", "is the number 5"),
        ({"messages": CHAT}, "prompts", "messages[1]", "a prompt must end with the user"),
        ({"a": "b"}, "auto", "record", "no known format has these fields: a"),
        ({"data": ["a"]}, "ultrachat", "data[0]", "the conversation ends with the user"),
        ({"text": ""}, "auto", "text", "is empty"),
    ],
)
def test_refusals_name_the_field_and_a_cure(save, read, row, format, field, reason):
    kept, (refusal,) = read(save("rows.jsonl", [row]), format=format)
    assert not kept
    assert refusal.field == field
    assert reason in refusal.reason
    assert refusal.cure
    assert json.loads(refusal.raw) == row
    assert str(refusal).startswith(refusal.origin.file + f":1 {field}: ")


def test_alpaca_keeps_instruction_and_input_apart(save, read):
    (record, plain), _ = read(save("a.json", [{"instruction": "a", "input": "b", "output": "c"}, GOOD_PLAIN]))
    assert [(part.name, part.text) for part in record.messages[0].parts] == [("instruction", "a"), ("input", "b")]
    assert [part.name for part in plain.messages[0].parts] == ["instruction"]


GOOD_PLAIN = {"instruction": "a", "input": "", "output": "c"}


def test_openai_tools_thinking_names_and_weights(save, read):
    call = {"id": "1", "type": "function", "function": {"name": "sum", "arguments": '{"of": [1, 2]}'}}
    row = {
        "tools": [{"type": "function", "function": {"name": "sum"}}],
        "messages": [
            {"role": "developer", "content": "be brief"},
            {"role": "user", "content": "1+2?", "name": "ann"},
            {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_content": "use the tool"},
            {"role": "tool", "content": "3", "tool_call_id": "1"},
            {"role": "assistant", "content": "3", "weight": 0},
        ],
    }
    (record,), _ = read(save("a.jsonl", [row]))
    system, user, asking, result, answer = record.messages
    assert system.role == "system"
    assert user.name == "ann"
    assert asking.thinking == "use the tool"
    assert (asking.tool_calls[0].name, asking.tool_calls[0].arguments) == ("sum", {"of": [1, 2]})
    assert (asking.tool_calls[0].id, result.call_id) == ("1", "1")
    assert (asking.learn, answer.learn) == (True, False)
    assert record.tools[0]["function"]["name"] == "sum"
    again = read(save("b.jsonl", [formats.named("openai").write(record)]))[0][0]
    assert again.messages == record.messages
    assert again.tools == record.tools


def test_content_parts_keep_their_media(save, read):
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "a.jpg"}},
        {"type": "audio", "audio": "b.wav"},
        {"type": "video_url", "value": "c.mp4"},
    ]
    (record,), _ = read(save("a.jsonl", [{"messages": [{"role": "user", "content": content}, CHAT[1]]}]))
    parts = record.messages[0].parts
    assert [(part.kind, part.source) for part in parts] == [
        ("text", ""),
        ("image", "a.jpg"),
        ("audio", "b.wav"),
        ("video", "c.mp4"),
    ]


def test_an_image_that_no_text_points_to_comes_first(save, read):
    (record,), _ = read(save("a.jsonl", [{"image": "a.jpg", "instruction": "What?", "output": "A cat."}]))
    assert [part.kind for part in record.messages[0].parts] == ["image", "text"]


def test_pointers_without_media_are_plain_text(save, read):
    (record,), _ = read(save("a.jsonl", [{"instruction": "What is <image> in HTML?", "output": "Nothing."}]))
    assert record.messages[0].text == "What is <image> in HTML?"


def test_belle_reads_all_its_layouts_under_its_own_name(save, read):
    rows = [
        {"instruction": "Human:a\nAssistant:b\nHuman:c\nAssistant:", "input": "", "output": "d"},
        {"instruction": "a", "input": "", "output": "b"},
        {"input": "a", "target": "b"},
        {"id": "1", "conversations": [{"from": "human", "value": "a"}, {"from": "assistant", "value": "b"}]},
    ]
    records, refused = read(save("a.json", rows), format="belle")
    assert [roles(record) for record in records] == ["uaua", "ua", "ua", "ua"]
    assert [message.text for message in records[0]] == ["a", "b", "c", "d"]
    assert not refused


def test_a_marker_inside_a_line_opens_no_turn(save, read):
    row = {"instruction": "Human:what does Human: mean?\nAssistant:", "input": "", "output": "d"}
    (record,), _ = read(save("a.jsonl", [row]))
    assert record.messages[0].text == "what does Human: mean?"


def test_comparison_prompt_is_the_common_start(save, read):
    longer = [*CHAT, {"role": "user", "content": "more"}]
    row = {
        "chosen": [*longer, {"role": "assistant", "content": "good"}],
        "rejected": [*longer, {"role": "assistant", "content": "bad"}],
    }
    (record,), _ = read(save("a.jsonl", [row]))
    assert [message.text for message in record.prompt] == ["hi", "hello", "more"]
    assert (record.chosen[0].text, record.rejected[0].text) == ("good", "bad")


def test_an_answer_that_one_side_continues_is_part_of_both_answers(save, read):
    longer = [*CHAT, {"role": "user", "content": "more"}, {"role": "assistant", "content": "more"}]
    (record,), _ = read(save("a.jsonl", [{"chosen": longer, "rejected": CHAT}]))
    assert [message.text for message in record.prompt] == ["hi"]
    assert (len(record.chosen), len(record.rejected)) == (3, 1)


def test_flan_line_breaks_are_real_ones(save, read):
    path = save(
        "a.tsv", 'Which? "a" or\\nb, in a long question that is no column name\ta\tBecause\\nso.\n"Q" x?\tb\tc\n'
    )
    (record, quoted), _ = read(path)
    assert record.messages[0].text.startswith('Which? "a" or\nb')
    assert [part.text for part in record.messages[1].parts] == ["Because\nso.", "a"]
    assert quoted.messages[0].text == '"Q" x?'


def test_the_preferred_output_is_chosen(save, read):
    rows = [{"instruction": "a", "output_1": "b", "output_2": "c", "preference": verdict} for verdict in (1, 2)]
    records, _ = read(save("a.jsonl", rows))
    assert [(record.chosen[0].text, record.rejected[0].text) for record in records] == [("b", "c"), ("c", "b")]


def test_labels_become_verdicts(save, read):
    rows = [{"prompt": "a", "completion": "b", "label": label} for label in (True, False, 1, 0, "false")]
    records, _ = read(save("a.jsonl", rows))
    assert [record.desirable for record in records] == [True, False, True, False, False]


def test_every_instance_of_a_seed_is_a_record(save, read):
    row = {"instruction": "a", "instances": [{"input": "1", "output": "x"}, {"output": ""}, {"output": "z"}]}
    records, (refusal,) = read(save("a.jsonl", [row]))
    assert [record.messages[1].text for record in records] == ["x", "z"]
    assert refusal.field == "instances[1].output"


def test_natural_instructions_share_the_task_of_the_file(save, read):
    task = {
        "Positive Examples": [{"input": "n", "output": "o"}],
        "Instances": [{"id": "task7-0a", "input": "b", "output": ["c", "d"]}],
        "Definition": ["Do it."],
        "Categories": ["Sentiment Analysis", "Other"],
        "Instance License": ["MIT"],
    }
    (record,), _ = read(save("task.json", json.dumps(task)))
    assert [(part.name, part.text) for part in record.messages[0].parts] == [("definition", "Do it."), ("input", "b")]
    assert record.licence == "MIT"
    assert record.tags == (
        ("id", "task7-0a"),
        ("task", "task7"),
        ("category", "Sentiment Analysis"),
        ("example", '{"input": "n", "output": "o"}'),
        ("reference", "d"),
    )
    (again,), _ = read(save("again.jsonl", [formats.named("natural_instructions").write(record)]))
    assert set(again.tags) == set(record.tags)


def test_licence_and_generator_of_a_row_are_kept(save, read):
    row = {**GOOD_PLAIN, "license": "cc-by-4.0", "generator": "somebody"}
    (record,), _ = read(save("a.jsonl", [row]))
    assert (record.licence, record.generator) == ("cc-by-4.0", "somebody")


def test_prepared_rows_come_back_whole_with_their_first_origin(save, read):
    """Named parts, thinking, calls, tags, and the file that the row was read from before it was prepared."""
    call = ToolCall("look", {"at": ["猫", 1]}, "c1")
    messages = (
        Message("user", (Part(text="Look.", name="instruction"), Part("image", source="a.png"))),
        Message("assistant", (), thinking="Hm.", tool_calls=(call,), learn=False),
        Message("tool", (Part(text="3"),), name="look", call_id="c1"),
        Message("assistant", (Part(text="Three."),)),
    )
    tools = ({"name": "look", "parameters": {}},)
    tags = (("source", "mine"), ("category", "b"))
    row = Conversation(messages, Origin("first.json", 7, 2), "MIT", "someone", tools, tags)
    path = save("rows.jsonl", [formats.named("prepared").write(row)])
    assert formats.detect(path) == "prepared"
    assert read(path) == ([row], [])


def test_a_prepared_row_that_was_tampered_with_is_refused(save, read):
    row = formats.named("prepared").write(Conversation((Message("user", (Part(text="a"),)),)))
    row["messages"][0]["role"] = "human"
    kept, (refusal,) = read(save("rows.jsonl", [row]))
    assert kept == []
    assert "human" in refusal.reason


def test_the_majority_of_the_first_rows_decides(save, read):
    rows = [{"instruction": "a", "output": "b"}] * 3 + [{"conversations": TURNS}]
    kept, (refusal,) = read(save("a.json", rows))
    assert len(kept) == 3
    assert (refusal.origin.line, refusal.field) == (4, "instruction")


def test_a_named_format_overrides_what_the_content_tells(save, read):
    path = save("a.jsonl", [{"instruction": "a", "output": "b", "text": "a b"}])
    (record,), _ = read(path, format="text")
    assert record == Document("a b", record.origin)


def test_an_unknown_format_is_refused_with_the_nearest_name(save):
    with pytest.raises(UserError) as caught:
        list(formats.read([save("a.json", [GOOD_PLAIN])], "alpacca"))
    assert "'alpacca'" in caught.value.message
    assert "did you mean alpaca?" in caught.value.cure


def test_the_names_are_those_of_the_files():
    assert formats.names() == tuple(sorted({format for format, _, _ in ROWS}))


def test_a_format_refuses_to_write_what_it_cannot_hold(save, read):
    (record,), _ = read(save("a.jsonl", [{"text": "words"}]))
    for name in set(formats.names()) - {"text", "prepared"}:
        with pytest.raises(UserError, match="cannot hold a Document"):
            formats.named(name).write(record)
