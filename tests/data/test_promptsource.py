"""Prompt templates are read from their YAML and put rows into words, as promptsource does, and do nothing else."""

import gzip
import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest

from tunesmith.data.prompted import Dice, environment, render, rendered, wanted
from tunesmith.data.promptsource import PromptTemplate, read_templates
from tunesmith.errors import UserError
from tunesmith.formats.row import Row
from tunesmith.records import Conversation, Origin, Refusal

SENTIMENT = PromptTemplate(
    "films", "good or bad", "Is it good? {{ text }} ||| {{ answer_choices[label] }}", "No ||| Yes"
)
FIXTURES = "microsoft__LoRA/examples/NLU/tests/fixtures/tests_samples"


def template(source: str, choices: str = "", name: str = "one") -> PromptTemplate:
    return PromptTemplate("films", name, source, choices)


def rows(*values: object) -> list[Row]:
    return [Row(Origin("films.jsonl", line), value) for line, value in enumerate(values, 1)]


def words(made: Conversation) -> tuple[str, str]:
    question, answer = made
    return question.text, answer.text


def one(source: str, row: dict[str, object], choices: str = "") -> Conversation | Refusal:
    return next(rendered(rows(row), [template(source, choices)]))


def test_a_file_gives_its_templates_with_what_it_says_of_them(tmp_path):
    (tmp_path / "templates.yaml").write_text(
        dedent("""\
        dataset: glue
        subset: mrpc
        templates:
          8b1f: !Template
            answer_choices: No ||| Yes
            jinja: '{{ text }} ||| {{ answer_choices[label] }}'
            metadata: &about !TemplateMetadata {original_task: true, languages: [en]}
            name: good or bad
          8b20: !Template {answer_choices: null, jinja: a ||| b, metadata: *about, name: plain}
        """)
    )
    first, second = read_templates(tmp_path)
    assert (first.dataset, first.name, first.choices) == ("glue/mrpc", "good or bad", "No ||| Yes")
    assert (first.languages, first.original) == (("en",), True)
    assert (second.choices, second.languages) == ("", ("en",))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a: !!python/object/apply:os.system [echo]", "cannot be read as YAML"),
        ("a: [", "cannot be read as YAML"),
        ("dataset: a", "lacks the field templates"),
        ("dataset: a\ntemplates: {7: !Template {name: first}}", "template first lacks the field jinja"),
        ("dataset: a\ntemplates: {7: none}", "template 7 lacks the field name"),
    ],
)
def test_a_file_that_is_none_names_itself_and_the_place(tmp_path, content, said):
    path = tmp_path / "templates.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match=said) as caught:
        list(read_templates(path))
    assert str(path) in caught.value.message
    assert caught.value.cure


def test_a_folder_without_templates_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no prompt templates"):
        list(read_templates(tmp_path))


def test_question_and_answer_stand_beside_the_bars_and_tags_name_the_template():
    (made,) = rendered(rows({"text": " Fine! ", "label": 1}), [SENTIMENT])
    assert words(made) == ("Is it good?  Fine!", "Yes")
    assert made.origin == Origin("films.jsonl", 1)
    assert {("task", "films"), ("template", "good or bad")} <= set(made.tags)


def test_bars_within_a_row_part_nothing_wherever_they_stand():
    made = one("{{ text }} {{ list[0] }} ||| b", {"text": "a ||| b", "list": ["c|||d"]})
    assert words(made) == ("a ||| b c|||d", "b")
    made = one("{{ x }} ||| {{ answer_choices[0] }}", {"x": "q", "c": ["a|||b", "c"]}, "{{ c | join('|||') }}")
    assert words(made) == ("q", "a|||b")


def test_further_answers_are_references():
    made = one("q ||| a ||| b", {})
    assert words(made) == ("q", "a")
    assert ("reference", "b") in made.tags


@pytest.mark.parametrize(
    ("source", "row", "said"),
    [
        ("{% if label %} q ||| a {% endif %}", {"label": 0}, "no question and answer"),
        ("q {{ label }}", {"label": 0}, "no question and answer"),
        ("{{ a }} ||| {{ b }} {{ c }}", {"a": "x"}, "lacks the fields b, c"),
        ("{{ a[3] }} ||| {{ a.b.c }}", {"a": [1]}, "fails on this row"),
        ("q ||| {{ [] | choice }}", {}, "empty list"),
        ("{{ answer_choices }} ||| a", {"answer_choices": "x"}, "answer_choices"),
        ("{{ ''.__class__.__mro__ }} ||| a", {}, "fails on this row"),
        ("{{ zip.__globals__ }}{% for x in range(10000000) %}{% endfor %} ||| a", {}, "fails on this row"),
    ],
)
def test_a_row_that_a_template_cannot_say_is_a_refusal_that_names_both(source, row, said):
    refusal = one(source, row)
    assert isinstance(refusal, Refusal)
    assert said in refusal.reason
    assert (str(refusal.origin), refusal.field) == ("films.jsonl:1", "template one")


def test_a_template_that_is_no_jinja_names_the_file():
    broken = replace(template("{{ a"), file="t.yaml")
    with pytest.raises(UserError, match=r"t.yaml: one, line 1"):
        list(rendered(rows({"a": "x"}), [broken]))


def test_a_template_cannot_change_the_row_for_the_next():
    row = {"a": ["x", "y"]}
    eats = "{{ a.pop() }} ||| {{ a | length }}"
    (first, second) = rendered(rows(row), [template(eats), template(eats, name="two")], "all")
    assert words(first) == words(second) == ("y", "1")
    assert row == {"a": ["x", "y"]}


def test_a_choice_follows_from_row_template_and_seed():
    dice = template("{{ range(100) | choice }} {{ range(100) | choice }} {{ range(100) | random }} ||| a")
    values = [{"n": n} for n in range(40)]
    first, again, other = (list(map(words, rendered(rows(*values), [dice], "one", seed))) for seed in (0, 0, 1))
    assert first == again
    assert len(set(first)) == 40
    assert sum(a == b for a, b in zip(first, other, strict=True)) == 0
    assert sum(a == b == c for a, b, c in (said[0].split() for said in first)) == 0


def test_one_template_a_row_is_drawn_among_those_that_fit():
    only_bad = template("{% if label == 0 %} b ||| b {% endif %}", name="b")
    both = [template("a ||| a", name="a"), only_bad]
    made = list(rendered(rows(*({"label": n % 2, "n": n} for n in range(400))), both))
    used = Counter((index % 2, words(conversation)[0]) for index, conversation in enumerate(made))
    assert used[1, "a"] == 200
    assert 70 < used[0, "a"] < 130
    assert used[0, "a"] + used[0, "b"] == 200


def test_all_templates_a_row_give_a_refusal_for_each_that_does_not_fit():
    outcomes = list(rendered(rows({"a": 1}), [template("{{ a }} ||| b"), template("{{ c }} ||| b", name="two")], "all"))
    assert [type(outcome) for outcome in outcomes] == [Conversation, Refusal]


def test_refused_rows_pass_and_no_templates_are_an_error():
    refusal = Refusal(Origin("a", 1), "record", "bad", "mend")
    assert list(rendered([refusal], [SENTIMENT])) == [refusal]
    with pytest.raises(UserError, match="no prompt templates"):
        list(rendered(rows({}), []))


def test_most_frequent_gives_all_that_share_the_first_place():
    assert words(one("{{ a | most_frequent }} ||| b", {"a": ["x", "y", "z", "y", "x"]}))[0] == "['x', 'y']"


@pytest.fixture(scope="session")
def templates(shared: Path) -> dict[tuple[str, str], PromptTemplate]:
    return {(each.dataset, each.name): each for each in read_templates(shared / "bigscience-workshop__promptsource")}


def test_all_2085_templates_of_promptsource_parse(templates):
    assert len(templates) == 2085
    assert len({dataset for dataset, _ in templates}) == 279
    for each in templates.values():
        environment().parse(each.source)
        environment().parse(each.choices)


def read_rows(path: Path) -> list[dict[str, object]]:
    """The objects of a file: a line each, or all under "data"."""
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    return json.loads(text)["data"] if text.startswith("{\n") else [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize(
    ("dataset", "file", "listed", "fit", "made"),
    [
        ("openai_humaneval", "openai__human-eval/data/HumanEval.jsonl.gz", 2, 2, 322),  # six functions return nothing
        ("xsum", f"{FIXTURES}/xsum/sample.json", 10, 10, 100),
        (
            "swag/regular",
            f"{FIXTURES}/swag/sample.json",
            7,
            6,
            60,
        ),  # one wants the field startphrase, which the sample lacks
        (
            "squad_v2",
            f"{FIXTURES}/SQUAD/sample.json",
            12,
            8,
            94,
        ),  # four want the title; two ask only what has an answer
    ],
)
def test_templates_render_on_the_rows_of_their_data_sets(templates, shared, dataset, file, listed, fit, made):
    values = read_rows(shared / file)
    fitting = [each for each in templates.values() if each.dataset == dataset]
    assert len(fitting) == listed
    done = [each for each in rendered(rows(*values), fitting, "all") if isinstance(each, Conversation)]
    assert len({dict(each.tags)["template"] for each in done}) == fit
    assert len(done) == made


def p3(shared: Path, name: str) -> list[tuple[str, str]]:
    """What P3 published: rendered by promptsource itself."""
    folder = shared / "yizhongw__self-instruct/data/finetuning/t0_train_50k/data_per_template"
    published = read_rows(folder / f"{name}.jsonl")
    return [(row["prompt"].strip(), row["completion"].removesuffix("<|endoftext|>").strip()) for row in published]


def commonsense_qa(shared: Path) -> list[dict[str, object]]:
    """Rows of CommonsenseQA as the hub has them, from the FLAN file that lists questions with options."""
    found = []
    for line in (shared / "google-research__FLAN/flan/v2/cot_data/ecqa_train.tsv").read_text().splitlines():
        asked, answer, _ = line.split("\t")
        question, options = asked.split("\\nOptions:\\n")
        texts = [option[2:] for option in options.split("\\n")]
        choices = {"label": list("ABCDE"), "text": texts}
        found.append({"question": question, "choices": choices, "answerKey": "ABCDE"[texts.index(answer)]})
    return found


def test_our_words_are_p3s_words_for_rows_from_elsewhere(templates, shared):
    each = templates["commonsense_qa", "answer_given_question_without_options"]
    ours = dict(words(made) for made in rendered(rows(*commonsense_qa(shared)), [each]))
    theirs = p3(shared, "commonsense_qa_answer_given_question_without_options")
    known = [(question, answer) for question, answer in theirs if question in ours]
    assert len(known) == 107
    assert all(ours[question] == answer for question, answer in known)


READ_BACK = [
    (
        *("glue/mrpc", "generate_paraphrase", "glue_mrpc_generate_paraphrase", 142),
        r"Paraphrase the following sentence: (?P<sentence1>.*)",
        lambda answer: {"sentence2": answer, "label": 1},
    ),
    (
        *("paws/labeled_final", "Rewrite-no-label", "paws_labeled_final_Rewrite_no_label", 200),
        r"Sentence 1: (?P<sentence1>.*)\nSentence 2: (?P<sentence2>.*)\nQuestion: .*",
        lambda answer: {"label": int(answer == "Yes")},
    ),
    (
        *("social_i_qa", "Show choices and generate index", "social_i_qa_Show_choices_and_generate_index", 200),
        r"Context: (?P<context>.*)\n\nQuestion: (?P<question>.*)\n\nWhich one.*\n\n"
        r"A: (?P<answerA>.*)\n\nB: (?P<answerB>.*)\n\nC: (?P<answerC>.*)",
        lambda answer: {"label": str("ABC".index(answer) + 1)},
    ),
]


@pytest.mark.parametrize(("dataset", "name", "file", "count", "pattern", "rest"), READ_BACK)
def test_rows_read_back_from_p3_render_to_the_same_words(templates, shared, dataset, name, file, count, pattern, rest):
    published = p3(shared, file)
    assert len(published) == count
    for question, answer in published:
        fields = re.fullmatch(pattern, question, re.DOTALL).groupdict()
        made = render(templates[dataset, name], fields | rest(answer), Dice())
        assert (made.question, made.answers) == (question, (answer,))


def test_a_template_says_which_fields_it_reads(templates):
    assert wanted(templates["glue/mrpc", "generate_paraphrase"]) == {"label", "sentence1", "sentence2"}
