"""A list names rows by place, id, or question."""

from dataclasses import replace

import pytest

from tests.data.steps.running import run, talk
from tunesmith.data.steps.curated import Curated, question_hash
from tunesmith.errors import UserError

ROWS = [talk(f"question {n}", "x", line=n) for n in range(1, 7)]
ROWS[3] = replace(ROWS[3], tags=(("source", "test"), ("id", "seed_4")))


def test_what_the_list_names_is_kept(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text(f"# by hand\n\ntest.json:1\n seed_4 \n{question_hash(ROWS[4])}\ntest/5\n")
    kept, rejects = run(Curated(str(path)), ROWS)
    assert [row.origin.line for row in kept] == [1, 4, 5, 6]
    assert [row for row, _ in rejects] == [1, 2]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("test.json:1\ntest.json:77\n", r":2: no conversation is called 'test.json:77'; 1 lines"),
        ("# none\n", "names no"),
    ],
)
def test_a_list_with_a_slip_in_it_is_refused(tmp_path, text, says):
    path = tmp_path / "list.txt"
    path.write_text(text)
    with pytest.raises(UserError, match=says):
        run(Curated(str(path)), ROWS)


def test_a_list_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        run(Curated(str(tmp_path / "none.txt")), ROWS)
