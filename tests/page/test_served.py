"""The page over the real server: what one asks, the other understands."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")

from tests.chat.conftest import KNOWN, assistant
from tests.page.conftest import Said, opened
from tests.serve.conftest import LIMITS, models, serving
from tunesmith.serve.house import House, Served

__all__ = ["assistant", "models"]


def test_answers_and_preferences_go_through_the_real_server(
    browser: Any, models: dict[str, Served], tmp_path: Path
) -> None:
    (served,) = models.values()
    both = {name: replace(served, id=name) for name in ("one", "two")}
    with (
        serving(House(both, LIMITS, ratings=tmp_path / "ratings.jsonl")) as site,
        opened(browser, site.url, Said()) as chat,
    ):
        chat.ask("hi")
        chat.ask("你好")
        assert chat.texts("assistant") == [KNOWN["hi"], KNOWN["你好"]]
        chat.page.get_by_role("button", name="Compare").click()
        chat.ask("again")
        with chat.page.expect_response("**/api/ratings") as sent:
            chat.page.locator(".vote button").first.click()
        assert sent.value.ok
        assert chat.faults == []
        assert all(url.startswith((site.url, "blob:")) for url in chat.requests)
    (line,) = (tmp_path / "ratings.jsonl").read_text(encoding="utf-8").splitlines()
    rating = json.loads(line)
    assert {rating["a"]["model"], rating["b"]["model"]} == set(both)
    assert [message["content"] for message in rating["messages"]] == ["hi", KNOWN["hi"], "你好", KNOWN["你好"], "again"]
    assert rating["choice"] in ("a", "b")


@pytest.mark.parametrize(
    ("locale", "told"),
    [
        ("en-US", r"too long \(4\d\d tokens; the model takes 200 with its answer\)\. Shorten the question"),
        ("zh-CN", r"内容太长（4\d\d 个词元；模型连同回答最多容纳 200 个）。请缩短问题"),
    ],
)
def test_a_question_that_is_too_long_is_refused_clearly_and_the_conversation_goes_on(
    browser: Any, models: dict[str, Served], locale: str, told: str
) -> None:
    with serving(House(models, LIMITS)) as site, opened(browser, site.url, Said(), locale=locale) as chat:
        chat.page.fill("#ask", "x" * 400)
        chat.page.press("#ask", "Enter")
        chat.page.wait_for_selector(f"#notice >> text=/{told}/")
        chat.ask("hi")
        assert (chat.texts("user"), chat.texts("assistant")) == (["hi"], [KNOWN["hi"]])
