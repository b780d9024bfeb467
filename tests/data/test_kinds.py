"""Comparisons, ratings and plain texts are prepared as conversations are, and come out as what they were."""

import json
from pathlib import Path

import pytest

from tests.data.steps.running import run
from tests.data.test_preparing import prepare
from tunesmith.data.kinds import flat, kind, restored
from tunesmith.data.steps.decontaminate import Decontaminate
from tunesmith.data.steps.exact_duplicates import ExactDuplicates
from tunesmith.errors import UserError
from tunesmith.formats import read
from tunesmith.records import Comparison, Conversation, Document, Rated, Record, text_message

RECIPE = "sources: [{source}]\nsteps: [{steps}]\n"


def write(path: Path, rows: list[dict[str, object]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def pairs(count: int) -> list[dict[str, object]]:
    return [{"prompt": f"Name a colour,  {n}.", "chosen": "Red  \u200b.", "rejected": f"No {n}"} for n in range(count)]


def made(tmp_path: Path, source: str, *steps: str) -> tuple[list[Record], dict[str, object]]:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(source=source, steps=", ".join(steps)))
    report = prepare(str(recipe), tmp_path / "out")
    return [record for record in read([str(tmp_path / "out")]) if isinstance(record, Record)], report  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("record", "of"),
    [
        (Document("words"), "text"),
        (Document("words", tags=(("category", "bees"),)), "text"),
        (Rated(Conversation((text_message("user", "a"), text_message("assistant", "b"))), False), "conversation"),
        (Comparison((text_message("user", "a"),), *[(text_message("assistant", b),) for b in "bc"]), "comparison"),
        (Comparison((), *[(text_message("user", b), text_message("assistant", b)) for b in "bc"]), "comparison"),
        (Comparison((), *[(text_message("assistant", b),) for b in "bc"], tags=(("id", "7"),)), "comparison"),
    ],
)
def test_every_kind_comes_back_from_its_conversation(record, of):
    assert kind(flat(record)) == of
    assert restored(flat(record)) == record


def test_comparisons_are_cleaned_on_all_sides_and_deduplicated_whole(tmp_path):
    rows = [*pairs(3), pairs(1)[0]]
    found, report = made(tmp_path, write(tmp_path / "pairs.jsonl", rows), "unicode", "whitespace", "exact_duplicates")
    assert [type(one) for one in found] == [Comparison] * 3
    assert [(one.prompt[0].text, one.chosen[0].text, one.rejected[0].text) for one in found][1] == (  # type: ignore[union-attr]
        "Name a colour,  1.",
        "Red  .",
        "No 1",
    )
    assert [record.origin.line for record in found] == [1, 2, 3]
    assert report["sources"][0]["kept"] == 3  # type: ignore[index]


@pytest.mark.parametrize(
    "row", [pairs(1)[0], {"text": "Once upon a time."}, {"prompt": "a", "completion": "b", "label": True}]
)
def test_what_a_row_says_of_itself_comes_through(tmp_path, row):
    (record,), _ = made(tmp_path, write(tmp_path / "rows.jsonl", [row | {"category": "bees"}]), "unicode")
    tags = record.conversation.tags if isinstance(record, Rated) else record.tags  # type: ignore[union-attr]
    assert tags == (("source", "rows"), ("category", "bees"))


def test_a_step_that_needs_a_conversation_lets_others_pass_and_counts_them(tmp_path):
    rows = [{"prompt": "Do it.", "chosen": "Done.", "rejected": "I'm sorry, but I cannot do that."}]
    found, report = made(tmp_path, write(tmp_path / "pairs.jsonl", rows), "refusals", "lengths")
    assert len(found) == 1
    assert [step["apart"] for step in report["steps"] if step["step"] != "read"] == [1, 0]  # type: ignore[attr-defined]


def test_a_step_that_compares_conversations_refuses_others_and_names_the_row(tmp_path):
    source = write(tmp_path / "texts.jsonl", [{"text": "Once upon a time."}])
    with pytest.raises(UserError, match="few_shot cannot judge texts/1, a text") as refused:
        made(tmp_path, source, "few_shot")
    assert "near_duplicates" in str(refused.value.cure)


def test_texts_are_cleaned_deduplicated_decontaminated_and_mixed(tmp_path):
    question = "How many bees live in one hive when the summer is at its warmest and longest day of all?"
    write(tmp_path / "test.jsonl", [{"question": question, "answer": "many"}])
    texts = [f"Chapter {n}. The bees flew out over the fields.  \n\n\n\nThey came back." for n in range(6)]
    source = write(tmp_path / "texts.jsonl", [{"text": text} for text in (*texts, texts[0], f"Quiz! {question} Yes.")])
    steps = (
        "whitespace",
        "exact_duplicates: {of: question}",
        f"decontaminate: {{benchmarks: [{tmp_path}/test.jsonl]}}",
    )
    found, report = made(
        tmp_path, source, *(f"{{{step}}}" if ":" in step else step for step in steps), "{mix: {total: 4}}"
    )
    assert [type(one) for one in found] == [Document] * 4
    assert all("fields.\n\nThey" in one.text for one in found)  # type: ignore[union-attr]
    reasons = {reason: n for step in report["steps"] for reason, n in step["reasons"].items()}  # type: ignore[attr-defined]
    assert reasons == {
        "same words as an earlier row": 1,
        "shares words with a benchmark": 1,
        "not drawn for the mixture": 2,
    }


def test_a_prepared_label_stays_with_its_conversation(tmp_path):
    rows = [{"prompt": "a", "completion": answer, "label": answer == "good"} for answer in ("good", "poor")]
    found, _ = made(tmp_path, write(tmp_path / "rated.jsonl", rows), "lengths")
    assert [(one.conversation.messages[1].text, one.desirable) for one in found] == [("good", True), ("poor", False)]  # type: ignore[union-attr]


def test_texts_with_other_words_are_no_duplicates_whatever_is_compared():
    rows = [flat(Document(text)) for text in ("one", "two", "one")]
    assert [row for row, _ in run(ExactDuplicates("question"), rows)[1]] == [2]
    assert Decontaminate.KINDS == ExactDuplicates.KINDS
