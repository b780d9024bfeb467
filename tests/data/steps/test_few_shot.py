"""Examples come from the same task and never from the row itself."""

import random
import re
from dataclasses import replace

import pytest

from tests.data.steps.running import run, talk
from tunesmith.data.steps.few_shot import FewShot
from tunesmith.data.words import asked, tag
from tunesmith.formats import read
from tunesmith.records import Conversation, Message, Origin, Part, text_message


def row(n: int, task: str = "add", **tags: str) -> Conversation:
    named = tuple({"task": task, **tags}.items())
    return replace(talk(f"<{task}.{n}>", f"[{task}.{n}]"), tags=named)


def defined(n: int, told: str = "Add one.") -> Conversation:
    parts = (Part(text=told, name="definition"), Part(text=f"<{n}>", name="input"))
    return Conversation((Message("user", parts), text_message("assistant", f"[{n}]")), Origin("add.json", n))


def questions(text: str) -> list[str]:
    return re.findall(r"<(.*?)>", text)


def answers(text: str) -> list[str]:
    return re.findall(r"\[(.*?)\]", text)


def test_examples_are_other_rows_of_the_task_with_their_answers():
    conversations = [row(n, task) for task in ("add", "sub") for n in range(40)]
    random.Random(0).shuffle(conversations)
    kept, rejects = run(FewShot(share=1, shots=3, fewest=3), conversations)
    assert rejects == []
    for before, after in zip(conversations, kept, strict=True):
        *shown, last = questions(asked(after))
        assert answers(asked(after)) == shown
        assert [last] == questions(asked(before))
        assert after.messages[1] == before.messages[1]
        assert len(set(shown)) == 3
        assert last not in shown
        assert {name.split(".")[0] for name in shown} == {tag(before, "task")}
        assert tag(after, "shots") == "3"


def test_the_same_rows_get_the_same_examples_in_every_order():
    conversations = [row(n) for n in range(30)]
    kept, _ = run(FewShot(share=0.7), conversations)
    turned, _ = run(FewShot(share=0.7), conversations[::-1])
    assert kept == turned[::-1]
    assert kept != run(FewShot(share=0.7, seed=1), conversations)[0]


def test_copies_of_a_row_and_its_instance_in_other_words_are_no_examples_for_it():
    same = [row(n % 2) for n in range(10)] + [replace(row(7), tags=(*row(7).tags, ("instance", "i")))] * 3
    kept, _ = run(FewShot(share=1, shots=5, fewest=5), same)
    for one in kept:
        *shown, last = questions(asked(one))
        assert last not in shown
        assert len(shown) == len(set(shown)) == 2


def test_examples_share_the_prompt_template_and_the_split():
    conversations = [row(n, template=str(n % 2), split=("train", "test")[n // 2 % 2]) for n in range(40)]
    kept, _ = run(FewShot(share=1, shots=4), conversations)
    for n, one in enumerate(kept):
        assert {int(name.split(".")[1]) % 4 for name in questions(asked(one))} == {n % 4}


def test_the_share_and_the_number_of_examples_are_drawn():
    kept, _ = run(FewShot(share=0.5, shots=5, fewest=2), [row(n) for n in range(1000)])
    numbers = [tag(one, "shots") for one in kept]
    assert 430 < numbers.count("") < 570
    assert all(80 < numbers.count(number) < 170 for number in "2345")
    assert set(numbers) == {"", *"2345"}
    assert all(one == row(n) for n, one in enumerate(kept) if not tag(one, "shots"))


def test_an_instruction_that_all_share_is_said_once():
    kept, _ = run(FewShot(share=1, shots=2, fewest=2), [defined(n) for n in range(6)])
    for one in kept:
        assert asked(one).startswith("Add one.\n")
        assert asked(one).count("Add one.") == 1
        assert len(questions(asked(one))) == 3


def test_instructions_that_differ_are_said_each_time():
    kept, _ = run(FewShot(share=1, shots=2, fewest=2), [defined(n, f"Add {n}.") for n in range(3)])
    assert all(asked(one).count("Add ") == 3 for one in kept)


def test_what_goes_beyond_the_length_is_left_out():
    long = [replace(talk("x" * 500 + str(n), "y"), tags=(("task", "t"),)) for n in range(4)]
    short = [replace(talk(str(n), "y"), tags=(("task", "t"),)) for n in range(4)]
    kept, _ = run(FewShot(share=1, shots=7, fewest=7, length=200), long + short)
    assert all("x" * 500 not in asked(one) for one in kept[4:])
    assert [tag(one, "shots") for one in kept] == ["4"] * 4 + ["3"] * 4


def test_turns_media_and_lonely_rows_stay_as_they_are():
    picture = Conversation((Message("user", (Part("image", source="a.png"),)), text_message("assistant", "a")))
    conversations = [talk("a", "b", "c", "d"), picture, row(0, "alone")]
    assert run(FewShot(share=1), conversations)[0] == conversations


def test_the_tasks_own_examples_come_first_but_for_the_question_itself():
    examples = tuple(("example", f'{{"input": "<own{n}>", "output": "[own{n}]"}}') for n in range(2))
    conversations = [replace(defined(n), tags=examples) for n in range(5)]
    conversations.append(replace(defined(9), messages=(*question("<own0>"),), tags=examples))
    kept, _ = run(FewShot(share=1, shots=3, fewest=3), conversations)
    assert all(questions(asked(one))[:2] == ["own0", "own1"] for one in kept[:5])
    assert questions(asked(kept[5]))[0] == "own1"
    assert all(len(answers(asked(one))) == 3 for one in kept)
    kept, _ = run(FewShot(share=1, own=False), conversations[:5])
    assert not any("own" in asked(one) for one in kept)


def question(given: str) -> tuple[Message, Message]:
    parts = (Part(text="Add one.", name="definition"), Part(text=given, name="input"))
    return Message("user", parts), text_message("assistant", "[x]")


@pytest.mark.parametrize("name", ["circle-hit__SAPT/CL_Benchmark/SuperNI/task875_emotion_classification"])
def test_natural_instructions_show_definition_and_positive_examples(shared, name):
    conversations = [record for record in read([str(shared / name)]) if isinstance(record, Conversation)]
    kept, _ = run(FewShot(share=1, shots=2, fewest=2), conversations)
    assert all("i am feeling grouchy" in asked(one) for one in kept)
    assert all(asked(one).count("classify the sentence into one of the six emotions") == 1 for one in kept)
    assert {tag(one, "shots") for one in kept} == {"2"}
