"""Two parts of the data, drawn by content."""

import json
from pathlib import Path

from tunesmith.export.conversations import own_prompts, read, recorded


def words(conversations) -> set[str]:
    return {conversation.messages[0].text for conversation in conversations}


def test_the_parts_share_nothing_and_do_not_hang_on_the_order(rows: Path) -> None:
    first = read([str(rows)], "auto", 4, 6)
    assert (len(first.held_out), len(first.calibration)) == (4, 6)
    assert not words(first.held_out) & words(first.calibration)
    rows.write_text("\n".join(reversed(rows.read_text().splitlines())))
    again = read([str(rows)], "auto", 4, 6)
    assert (words(again.held_out), words(again.calibration)) == (words(first.held_out), words(first.calibration))


def test_at_most_half_is_held_out_and_a_row_counts_once(rows: Path) -> None:
    rows.write_text(rows.read_text() * 2)
    found = read([str(rows)], "auto", 100, 100)
    assert (len(found.held_out), len(found.calibration)) == (8, 8)
    assert found.enough


def test_tools_thinking_and_empty_answers_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "chat.jsonl"
    said = [{"content": "a"}, {"content": "b", "reasoning_content": "hm"}]
    lines = [{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", **answer}]} for answer in said]
    file.write_text("\n".join(map(json.dumps, lines)))
    found = read([str(file)], "auto", 8, 8)
    assert [conversation.messages[-1].text for conversation in (*found.held_out, *found.calibration)] == ["a"]
    assert not found.enough


def test_data_that_is_gone_or_changed_is_not_used(rows: Path) -> None:
    known = {"config": {"data": [str(rows)]}, "inputs": read([str(rows)], "auto", 1, 1).inputs}
    assert recorded(known) == (str(rows),)
    rows.write_text(rows.read_text() + " ")
    assert recorded(known) == ()
    rows.unlink()
    assert recorded(known) == ()
    assert recorded({}) == ()


def test_our_own_prompts_come_in_two_languages_in_turn() -> None:
    prompts = [messages[0].text for messages in own_prompts()]
    assert len(prompts) == len(set(prompts)) == 32
    assert all(prompt.isascii() for prompt in prompts[::2])
    assert not any(prompt.isascii() for prompt in prompts[1::2])
