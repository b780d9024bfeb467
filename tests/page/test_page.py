"""The chat page does what a person asks of it, and never what a model's words ask of it."""

import json

import pytest

ATTACKS = """\
<script>window.hit = 1</script> <img src=x onerror="window.hit = 2"> <svg onload=alert(1)>
[click](javascript:window.hit=3) [data](data:text/html,<script>window.hit=4</script>)

![picture](https://example.org/spy.png) [JaVa](JAVASCRIPT:window.hit=5) [http](https://example.org/page)

```html
<script>window.hit = 6</script><iframe src="javascript:window.hit=7"></iframe>
```

<a href="javascript:window.hit=8">x</a> `<b onmouseover=window.hit=9>`
| a | <script>window.hit=10</script> |
| - | - |
| <img src=x onerror=window.hit=11> | [x](vbscript:y) |
"""
RICH = """\
## Title

Some **bold**, *slanted*, ~~gone~~ and `code`, see https://example.org/a.

1. one
2. two
   - inner

> quoted

| left | right |
|---|---|
| 1 | 2 |

```python
print("<b>")
```
"""


def test_an_answer_streams_into_the_page_and_the_conversation_goes_on(chat):
    chat.ask("hello")
    chat.ask("more")
    assert chat.texts("user") == ["hello", "more"]
    assert chat.texts("assistant") == ["Quick: hello", "Quick: more"]
    roles = [(message["role"], message["content"].strip()) for message in chat.said.asked[-1]["messages"]]
    assert roles == [("user", "hello"), ("assistant", "Quick: hello"), ("user", "more")]
    assert chat.said.asked[-1]["model"] == "quick"
    assert chat.said.asked[-1]["stream"] is True
    assert chat.faults == []
    assert all(url.startswith((chat.address, "blob:")) for url in chat.requests)


def test_a_model_whose_template_takes_no_system_prompt_is_given_none(chat):
    assert chat.page.locator("#system").is_visible()
    chat.page.get_by_label("Model", exact=True).select_option("wise")
    assert not chat.page.locator("#system").is_visible()


def test_words_show_before_the_answer_ends_and_stop_ends_it(chat):
    chat.said.answers["quick"] = "word " * 1000
    chat.said.pause = 0.02
    chat.page.fill("#ask", "go")
    chat.page.press("#ask", "Enter")
    chat.page.wait_for_selector(".turn.assistant >> text=word word")
    chat.page.click(".stop")
    chat.page.wait_for_selector("text=Stopped")
    assert 2 <= chat.texts("assistant")[0].split().count("word") < 500
    chat.page.wait_for_timeout(300)
    assert chat.said.left == 1  # the server saw that nobody listens any more


def test_a_question_can_be_asked_otherwise_and_an_answer_given_again(chat):
    chat.ask("first")
    chat.ask("second")
    chat.page.locator(".turn.user").first.get_by_role("button", name="Edit").click()
    chat.page.locator(".editor textarea").fill("changed")
    chat.page.locator(".editor").get_by_role("button", name="Send").click()
    chat.page.wait_for_selector("body:not(.busy) .turn.assistant .acts button")
    assert (chat.texts("user"), chat.texts("assistant")) == (["changed"], ["Quick: changed"])
    chat.said.answers["quick"] = "Another: {last}"
    chat.page.get_by_role("button", name="Retry").click()
    chat.page.wait_for_selector("text=Another: changed")
    assert chat.texts("assistant") == ["Another: changed"]
    assert [message["content"] for message in chat.said.asked[-1]["messages"]] == ["changed"]


def test_the_model_is_the_one_that_was_picked(chat):
    chat.page.get_by_label("Model", exact=True).select_option("wise")
    chat.ask("who")
    assert chat.texts("assistant") == ["Wise: who"]


def test_two_answers_are_compared_without_knowing_whose_they_are(chat):
    chat.said.answers = {"quick": "from one", "wise": "from the other"}
    chat.page.get_by_role("button", name="Compare two").click()
    firsts = set()
    for turn in range(12):
        chat.ask(f"question {turn}")
        pair = chat.page.locator(".pair").last
        assert not {"quick", "wise"} & set(pair.inner_text().split())
        assert "quick" not in pair.inner_html()
        assert chat.page.locator(".send").is_disabled()
        firsts.add(pair.locator(".text").first.inner_text().strip())
        preferred = pair.locator(".text").nth(1).inner_text().strip()
        with chat.page.expect_response("**/api/ratings"):
            pair.get_by_role("button", name="B is better").click()
        chat.page.wait_for_selector(".pair:last-of-type >> text=You chose")
        names = pair.locator(".turn header").all_inner_texts()
        assert sorted(names) == ["quick", "wise"]
        rating = chat.said.ratings[-1]
        assert [rating["a"]["model"], rating["b"]["model"]] == names
        assert rating["choice"] == "b"
        assert rating["b"]["answer"].strip() == preferred
        assert rating["messages"][-1] == {"role": "user", "content": f"question {turn}"}
        if turn >= 2 and len(firsts) == 2:
            break
    assert len(firsts) == 2  # the order was drawn
    assert chat.said.asked[-1]["messages"][-2]["content"] == chat.said.ratings[-2]["b"]["answer"]


@pytest.mark.parametrize("broken", ["quick", "wise"])
def test_where_one_of_two_models_fails_the_other_is_stopped(chat, broken):
    chat.said.answers = dict.fromkeys(chat.said.answers, "word " * 1000)
    chat.said.pause = 0.02
    chat.said.broken = (broken,)
    chat.page.get_by_role("button", name="Compare two").click()
    chat.page.fill("#ask", "go")
    chat.page.press("#ask", "Enter")
    chat.page.wait_for_selector("body:not(.busy) #notice >> text=out of order")
    chat.page.wait_for_timeout(300)
    assert chat.said.left == len(chat.said.asked) - 1  # the server saw that nobody listens any more
    chat.said.answers = {"quick": "one", "wise": "other"}
    chat.said.broken = ()
    chat.page.locator("#notice").get_by_role("button", name="Retry").click()
    chat.page.wait_for_selector(".vote")
    assert sorted(chat.texts("assistant")) == ["one", "other"]


@pytest.mark.parametrize(
    ("button", "choice"), [("A is better", "a"), ("Equally good", "tie"), ("Both are bad", "both_bad")]
)
def test_every_verdict_is_kept_under_its_name(chat, button, choice):
    chat.page.get_by_role("button", name="Compare two").click()
    chat.ask("x")
    with chat.page.expect_response("**/api/ratings"):
        chat.page.get_by_role("button", name=button).click()
    chat.page.wait_for_selector("text=You chose")
    assert [rating["choice"] for rating in chat.said.ratings] == [choice]


def test_what_a_model_writes_is_never_run_nor_fetched(chat):
    chat.said.answers["quick"] = ATTACKS
    chat.ask("attack")
    chat.page.wait_for_timeout(200)
    assert chat.page.evaluate("window.hit") is None
    answer = chat.page.locator(".turn.assistant > .text")
    assert answer.locator("script, img, svg, iframe, b, [onerror], [onload], [onmouseover]").count() == 0
    links = answer.locator("a").evaluate_all("links => links.map(link => [link.href, link.rel])")
    assert {href for href, _ in links} == {"https://example.org/spy.png", "https://example.org/page"}
    assert all("noopener" in rel for _, rel in links)
    assert "<script>window.hit = 1</script>" in answer.inner_text()
    assert "[click](javascript:window.hit=3)" in answer.inner_text()
    assert all(url.startswith((chat.address, "blob:")) for url in chat.requests)


def test_a_question_is_shown_as_it_was_typed(chat):
    chat.ask("<img src=x onerror=window.hit=1> **not bold**")
    assert chat.texts("user") == ["<img src=x onerror=window.hit=1> **not bold**"]
    assert chat.page.evaluate("window.hit") is None


def test_markdown_and_code_are_shown_and_code_is_copied(chat):
    chat.said.answers["quick"] = RICH
    chat.ask("rich")
    answer = chat.page.locator(".turn.assistant > .text")
    for tag, text in {
        "h4": "Title", "strong": "bold", "em": "slanted", "del": "gone", "p code": "code", "ol > li ul > li": "inner",
        "blockquote": "quoted", "td >> nth=1": "2", "pre code": 'print("<b>")', "figcaption span": "python",
    }.items():  # fmt: skip
        assert answer.locator(tag).inner_text().strip() == text
    assert answer.locator("a").get_attribute("href") == "https://example.org/a"
    answer.get_by_role("button", name="Copy").click()
    chat.page.wait_for_selector("text=Copied")
    assert chat.page.evaluate("navigator.clipboard.readText()") == 'print("<b>")'


@pytest.mark.parametrize("mark", ["`", "*", "> ", "| - ", "[", "- ", "~~~ ", "# "])
def test_long_runs_of_marks_do_not_stall_the_page(chat, mark):
    took = chat.page.evaluate(
        "async text => { const { markdown } = await import('./markdown.js'); const start = performance.now();"
        " markdown(text); return performance.now() - start; }",
        mark * 5000,
    )
    assert took < 2000


BORDERS = {
    "|---|---|": True, "---|---": True, " | :-: | --: ": True, "---": True, "-": True, "|-|": True, ":-:|": True,
    "": False, "|": False, "||": False, "||-|": False, "|-||": False, "- -": False, "|::-|": False, "|-x|": False,
    "|---|   |": False,
}  # fmt: skip


def test_a_table_has_a_border_of_dashes(chat):
    tables = chat.page.evaluate(
        "async all => { const { markdown } = await import('./markdown.js');"
        " return all.map(text => [...markdown(text).querySelectorAll('table')].map(table =>"
        " [...table.rows].map(row => [...row.cells].map(cell => cell.textContent)))); }",
        [f"a | b\n{border}\n| 1 | 2 |" for border in BORDERS],
    )
    rows = [["a", "b"], ["1", "2"]]
    assert dict(zip(BORDERS, tables, strict=True)) == {border: [rows] * is_one for border, is_one in BORDERS.items()}


def test_a_very_long_line_does_not_stall_the_page(chat):
    """A rule that takes quadratic time would need minutes for one of these."""
    most = 300_000
    lines = [
        *("a|b\n" + line for line in (" " * most + "x", "-" * most + "x", "- |" * most + "x")),
        *(mark + "`" for mark in ("~~~" + " " * most, "~~~" + "a" * most, "~" * most)),
        "-" + " " * most + "x\u2028y",
        "---" + " -" * most + "x",
    ]
    chat.page.evaluate(
        "async lines => { const { markdown } = await import('./markdown.js');"
        " setTimeout(() => { for (const line of lines) markdown(line); document.body.className = 'done'; }); }",
        lines,
    )
    chat.page.wait_for_selector("body.done")


def test_history_survives_a_reload_and_can_be_deleted(chat):
    chat.ask("remember me")
    chat.page.reload()
    chat.page.wait_for_selector("text=Quick: remember me")
    chat.page.get_by_role("button", name="New conversation").click()
    assert chat.texts("user") == []
    chat.page.locator("#history .entry", has_text="remember me").click()
    assert chat.texts("user") == ["remember me"]
    chat.page.locator("#history").get_by_role("button", name="Delete").click()
    chat.page.wait_for_selector("#history li", state="detached")
    chat.page.reload()
    chat.page.wait_for_selector(".welcome")


@pytest.mark.parametrize("shown", [True, False])
def test_a_conversation_that_is_deleted_while_it_is_answered_stays_deleted(chat, shown):
    chat.said.answers["quick"] = "word " * 1000
    chat.said.pause = 0.02
    chat.page.fill("#ask", "forget me")
    chat.page.press("#ask", "Enter")
    chat.page.wait_for_selector(".turn.assistant >> text=word word")
    clicked = ["#history [aria-label=Delete]"] if shown else ["#side .main", "#history [aria-label=Delete]"]
    chat.page.evaluate("all => all.forEach(one => document.querySelector(one).click())", clicked)
    chat.page.wait_for_selector("body:not(.busy) .welcome")
    chat.page.reload()
    chat.page.wait_for_selector("#top option", state="attached")
    assert chat.page.locator("#history li").count() == 0
    assert chat.texts("user") == []


def test_conversations_are_exported_and_imported(chat, tmp_path):
    chat.ask("take me along")
    with chat.page.expect_download() as waiting:
        chat.page.get_by_role("button", name="Export").click()
    file = tmp_path / "backup.json"
    waiting.value.save_as(file)
    [kept] = json.loads(file.read_text())["conversations"]
    assert [turn["role"] for turn in kept["turns"]] == ["user", "assistant"]
    chat.page.locator("#history").get_by_role("button", name="Delete").click()
    chat.page.wait_for_selector("#history li", state="detached")
    bring(chat, file)
    chat.page.wait_for_selector("text=1 entries imported")
    chat.page.locator("#history .entry").click()
    assert chat.texts("assistant") == ["Quick: take me along"]


@pytest.mark.parametrize(
    "text", ["no json", "{}", '{"format": "tunesmith-chat", "version": 1, "conversations": [{"id": "a"}]}']
)
def test_a_foreign_file_is_refused_and_changes_nothing(chat, tmp_path, text):
    chat.ask("stay")
    file = tmp_path / "foreign.json"
    file.write_text(text)
    bring(chat, file)
    chat.page.wait_for_selector("text=Nothing was changed")
    assert chat.page.locator("#history li").count() == 1


ANSWER = {"role": "assistant", "content": "a"}
MALFORMED = [
    {"role": "nobody", "content": "a"},
    {"role": "user"},
    *(ANSWER | wrong for wrong in [
        {"content": None}, {"model": {}}, {"tokens": "9"}, {"speed": "fast"}, {"ended": "zzz"}, {"ended": "toString"},
        {"pair": 5}, {"pair": None}, {"pair": [None, None]}, {"pair": [ANSWER]}, {"pair": [ANSWER, {"content": 1}]},
        {"pair": [ANSWER] * 2, "choice": "c"}, {"pair": [ANSWER] * 2, "choice": ["a"]},
    ]),
]  # fmt: skip


def conversation(name, *turns):
    return {"id": name, "time": 9e15, "system": "", "turns": [{"role": "user", "content": name}, *turns]}


def test_a_file_with_a_malformed_turn_is_refused_and_one_taken_earlier_does_not_stop_the_page(chat):
    held = {"format": "tunesmith-chat", "version": 1}
    taken = (
        "files => import('./store.js').then(({ restore }) =>"
        " Promise.all(files.map(file => restore(file).catch(() => 0))))"
    )
    files = [json.dumps(held | {"conversations": [conversation("z", turn)]}) for turn in [*MALFORMED, ANSWER]]
    assert chat.page.evaluate(taken, files) == [0] * len(MALFORMED) + [1]
    rows = [conversation(f"row {number}", turn) for number, turn in enumerate(MALFORMED)]
    chat.page.evaluate("async rows => { const { put } = await import('./store.js');"
                       " for (const row of rows) await put('conversations', row); }", rows)  # fmt: skip
    chat.page.reload()
    chat.page.wait_for_selector("#top option", state="attached")
    assert chat.texts("user") == ["z"]
    chat.ask("more")
    assert chat.texts("assistant") == ["a", "Quick: more"]
    assert chat.page.locator("#history li").count() == 1
    assert chat.faults == []


def test_whatever_the_page_keeps_comes_back_from_its_export(chat):
    chat.page.locator("#system summary").click()
    chat.page.get_by_label("System prompt").fill("Be brief.")
    chat.said.pause = 0.01
    chat.ask("counted")
    chat.said.answers["quick"] = "word " * 1000
    chat.page.fill("#ask", "stopped")
    chat.page.press("#ask", "Enter")
    chat.page.wait_for_selector(".turn.assistant >> text=word word")
    chat.page.click(".stop")
    chat.page.wait_for_selector("text=Stopped")
    chat.said.answers["quick"] = "short"
    chat.page.get_by_role("button", name="Compare two").click()
    chat.ask("decided")
    with chat.page.expect_response("**/api/ratings"):
        chat.page.get_by_role("button", name="B is better").click()
    chat.page.wait_for_selector("text=You chose")
    chat.ask("undecided")
    kept, before, after = chat.page.evaluate(
        """async () => {
          const { all, backup, put, remove, restore } = await import("./store.js");
          await put("prompts", { id: "pirate", text: "Talk like a pirate." });
          const settled = (request) => new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
          const database = await settled(indexedDB.open("tunesmith"));
          const [kept] = await settled(database.transaction("conversations").objectStore("conversations").getAll());
          const before = await backup();
          for (const kind of ["conversations", "prompts", "ratings"])
            for (const { id } of await all(kind)) await remove(kind, id);
          await restore(before);
          return [kept, JSON.parse(before), JSON.parse(await backup())];
        }"""
    )
    assert before["conversations"] == [kept]
    assert after == before
    answers = [turn for turn in kept["turns"] if turn["role"] == "assistant"]
    assert kept["system"] == "Be brief."
    assert [turn.get("ended") for turn in answers[:2]] == ["", "stopped"]
    assert answers[0]["speed"] > 0
    assert [turn["choice"] for turn in answers[2:]] == ["b", ""]
    assert len(before["prompts"]) == len(before["ratings"]) == 1


def bring(chat, file):
    with chat.page.expect_file_chooser() as waiting:
        chat.page.get_by_role("button", name="Import").click()
    waiting.value.set_files(file)


def test_a_prompt_is_saved_and_used(chat):
    chat.page.get_by_role("button", name="Prompts").click()
    chat.page.get_by_label("Name").fill("pirate")
    chat.page.locator("dialog textarea").fill("Talk like a pirate.")
    chat.page.get_by_role("button", name="Save").click()
    chat.page.get_by_role("button", name="Prompts").click()
    chat.page.get_by_role("button", name="Use as system prompt").click()
    chat.ask("hi")
    assert chat.said.asked[-1]["messages"][0] == {"role": "system", "content": "Talk like a pirate."}


def test_a_server_that_wants_a_token_gets_it(chat):
    chat.said.token = "secret"
    chat.page.reload()
    chat.page.locator("dialog input").fill("secret")
    chat.page.get_by_role("button", name="Save").click()
    chat.page.wait_for_selector("#top option", state="attached")
    chat.ask("hi")
    assert chat.texts("assistant") == ["Quick: hi"]


def test_a_failure_is_said_and_can_be_tried_again(chat):
    chat.said.token = "secret"
    chat.page.fill("#ask", "hi")
    chat.page.press("#ask", "Enter")
    chat.page.get_by_role("button", name="Cancel").click()
    chat.page.wait_for_selector("text=a token is needed")
    chat.said.token = ""
    chat.page.locator("#notice").get_by_role("button", name="Retry").click()
    chat.page.wait_for_selector("text=Quick: hi")
    assert chat.page.locator("#notice").inner_text() == ""


def test_a_question_without_an_answer_makes_room_for_the_next(chat):
    chat.ask("first")
    chat.said.token = "secret"
    chat.page.fill("#ask", "failed")
    chat.page.press("#ask", "Enter")
    chat.page.get_by_role("button", name="Cancel").click()
    chat.page.wait_for_selector("text=a token is needed")
    chat.said.token = ""
    chat.ask("second")
    assert chat.texts("user") == ["first", "second"]
    assert [message["content"].strip() for message in chat.said.asked[-1]["messages"]] == [
        "first", "Quick: first", "second",
    ]  # fmt: skip
    assert chat.page.locator("#notice").inner_text() == ""


@pytest.mark.parametrize("chat", [{"locale": "zh-CN"}], indirect=True)
def test_a_chinese_browser_gets_a_chinese_page(chat):
    chat.ask("你好")
    assert chat.page.locator(".send").inner_text() == "发送"
    assert chat.page.get_attribute("html", "lang") == "zh"
    chat.page.get_by_role("button", name="设置").click()
    chat.page.get_by_label("语言").select_option("en")
    chat.page.get_by_role("button", name="保存").click()
    chat.page.wait_for_selector("text=New conversation")
    assert chat.texts("user") == ["你好"]


def test_both_languages_have_the_same_words(chat):
    keys = (
        "async () => { const [{ en }, { zh }] = await Promise.all([import('./words/en.js'), import('./words/zh.js')]);"
    )
    english, chinese = chat.page.evaluate(keys + " return [en, zh] }")
    assert list(english) == list(chinese)
    places = [{key: sorted({part.split("}")[0] for part in text.split("{")[1:]}) for key, text in words.items()}
              for words in (english, chinese)]  # fmt: skip
    assert places[0] == places[1]


PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}


@pytest.mark.parametrize("chat", [PHONE], indirect=True)
def test_on_a_phone_nothing_is_too_wide_or_too_small(chat):
    chat.said.answers["quick"] = RICH + "\n" + "unbroken" * 60 + "\n\n```\n" + "x" * 300 + "\n```"
    chat.ask("long " + "y" * 200)
    assert chat.page.evaluate("document.documentElement.scrollWidth") <= 360
    assert chat.page.evaluate("document.querySelector('#log').scrollWidth") <= 360
    chat.page.get_by_role("button", name="Menu").click()
    chat.page.get_by_role("button", name="New conversation").wait_for(state="visible")
    sizes = chat.page.locator("button:visible, select:visible, textarea:visible").evaluate_all(
        "all => all.map(one => [one.outerHTML.slice(0, 80), one.getBoundingClientRect().height])"
    )
    assert [one for one in sizes if one[1] < 44] == []
    chat.page.keyboard.press("Escape")
    chat.page.get_by_role("button", name="New conversation").wait_for(state="hidden")


def test_the_keyboard_alone_reaches_everything(chat):
    chat.page.locator("#ask").focus()
    chat.page.keyboard.type("line")
    chat.page.keyboard.press("Shift+Enter")
    chat.page.keyboard.type("two")
    chat.page.keyboard.press("Enter")
    chat.page.wait_for_selector("body:not(.busy) >> text=Quick: line")
    assert chat.said.asked[0]["messages"][-1]["content"] == "line\ntwo"
    reached = set()
    for _ in range(30):
        chat.page.keyboard.press("Tab")
        reached.add(chat.page.evaluate("document.activeElement.innerText || document.activeElement.ariaLabel"))
    assert {"Send", "New conversation", "Import", "Export", "Settings", "Prompts", "Edit", "Copy", "Retry"} <= reached


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_device_and_can_be_set(chat, scheme):
    chat.page.emulate_media(color_scheme=scheme)
    back = "getComputedStyle(document.body).backgroundColor"
    colours = {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 24, 29)"}
    assert chat.page.evaluate(back) == colours[scheme]
    chat.page.evaluate("document.documentElement.dataset.theme = 'dark'")
    assert chat.page.evaluate(back) == colours["dark"]
