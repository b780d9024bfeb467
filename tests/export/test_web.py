"""The exported page runs the model in a real browser, says what llama.cpp says, and needs no network afterwards."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from tests.browser import Quiet, chromium, files, serving
from tests.export.gguf.test_vocabulary import nasty
from tests.toys import byte_tokenizer
from tunesmith.errors import UserError
from tunesmith.export.gguf.probes import probes
from tunesmith.export.subject import Subject
from tunesmith.export.target import Work
from tunesmith.export.targets import web
from tunesmith.export.targets.web import RUNTIME, Web, prompts, proof
from tunesmith.export.torch_subject import TorchSubject
from tunesmith.models import nano
from tunesmith.models.llamacpp import installed, open_gguf
from tunesmith.models.load import load_model, load_tokenizer
from tunesmith.records import text_message
from tunesmith.serve.tongue import takes_system
from tunesmith.text.render import Renderer
from tunesmith.text.template import load_template, shipped

pytest.importorskip("gguf", reason="gguf is not installed: pip install 'tunesmith[gguf]'")
try:
    web.runtime_folder()
except UserError:
    pytest.skip("the runtime for browsers is not installed: make setup-web", allow_module_level=True)

MOST = 16  # tokens of an answer
PIECE = 2**20
QUESTIONS = ("The cat is", "把下面的词翻译成英文。\n苹果", "1 + 2 = 3, and 12,345\u3000？")


@pytest.fixture(scope="module")
def work() -> Work:
    """nano as it is: alpaca's template needs no token that nano lacks."""
    renderer = Renderer(load_template("alpaca"), load_tokenizer("nano"))
    return Work("runs/nano", nano.path(), renderer)


@pytest.fixture(scope="module")
def made(work: Work, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export in full precision, its model cut into several pieces."""
    folder = tmp_path_factory.mktemp("web")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(web, "PIECE", PIECE)
        Web(quant="F32").write(work, folder)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


class Host(Quiet):
    """A static server that can break off, alter what it sends, and tells what it was asked for.

    limit    bytes of the model that are sent before the connection breaks, or None
    altered  the byte of the model that is sent wrong, or None
    ranges   the Range header of each request for the model
    """

    limit: int | None = None
    altered: int | None = None
    knows_ranges = True
    ranges: list[str | None]

    def do_GET(self) -> None:  # noqa: N802
        if not self.path.endswith(".gguf"):
            return super().do_GET()
        body = bytearray(Path(self.translate_path(self.path)).read_bytes())
        asked = self.headers.get("range")
        self.ranges.append(asked)
        if self.altered is not None:
            body[self.altered] ^= 1
        start = int(asked.split("=")[1].rstrip("-")) if asked and self.knows_ranges else 0
        self.send_response(206 if start else 200)
        self.send_header("content-length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start : self.limit])
        if self.limit is not None:
            time.sleep(1)  # what arrived before a connection broke is read
        return None


@contextmanager
def opened(
    browser: Any, folder: Path, start: str = "", locale: str = "en-US", **host: Any
) -> Iterator[tuple[Any, type[Host]]]:
    """The page in a fresh profile, and its server; no request goes elsewhere. `start` runs before its scripts."""
    server = type("Server", (Host,), {"ranges": [], **host})
    with serving(files(folder, server)) as address:
        context = browser.new_context(locale=locale)
        context.add_init_script(f"localStorage.setItem('tunesmith.sampling', '{SAMPLING}'); {start}")
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        yield page, server
        context.close()
        assert [url for url in asked if not url.startswith((address, f"blob:{address}"))] == []


SAMPLING = json.dumps({"temperature": 0, "max_tokens": MOST})


def load(page: Any) -> None:
    page.get_by_role("button", name="Load", exact=False).click()
    page.wait_for_selector(".send:enabled", timeout=60_000)


def ask(page: Any, question: str) -> str:
    """The answer to a question in a conversation of its own."""
    page.get_by_role("button", name="New conversation").click()
    page.fill("#ask", question)
    page.click(".send")
    page.wait_for_selector("body:not(.busy) .turn.assistant .acts button", timeout=60_000)
    assert "per second" in page.locator(".turn.assistant .note").inner_text()
    return kept(page)


def kept(page: Any) -> str:
    """The last answer as the page keeps it, before Markdown is made of it."""
    rows = page.evaluate("import('./store.js').then(store => store.all('conversations'))")
    return max(rows, key=lambda row: row["time"])["turns"][-1]["content"]


@pytest.fixture(scope="module")
def expected(made: Path, work: Work) -> dict[str, str]:
    """What torch answers to each question, and llama.cpp too where it is installed."""
    torch_model = TorchSubject(load_model("nano"), work.renderer)
    subjects: list[Subject] = [torch_model]
    if installed():
        subjects.append(open_gguf(made / "model" / "model.gguf", context=1024, cache="f16"))  # as in the browser
    answers = {}
    for question in QUESTIONS:
        ids = work.renderer.prompt([text_message("user", question)])
        said, *others = (subject.answer(ids, MOST) for subject in subjects)
        assert others in ([], [said])
        answers[question] = work.renderer.tokenizer.decode(said)
    return answers


def test_it_answers_as_torch_and_llama_cpp_do_and_goes_on_without_a_network(browser, made, expected):
    with opened(browser, made) as (page, _):
        load(page)
        assert {question: ask(page, question) for question in QUESTIONS} == expected
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        page.context.set_offline(True)
        page.reload()
        page.wait_for_selector(".send:enabled", timeout=60_000)
        assert ask(page, QUESTIONS[0]) == expected[QUESTIONS[0]]
        assert page.locator("#history li").count() == len(QUESTIONS) + 1


def written_otherwise(page: Any, told: list[tuple[Renderer, dict[str, Any]]]) -> list[int]:
    """How many of the conversations of each prompts.json the browser turns into other ids."""
    described = [
        (renderer.chat_template, json.loads(renderer.tokenizer.backend_tokenizer.to_str()), one)
        for renderer, one in told
    ]
    return page.evaluate(
        "all => import('./prompts.js').then(({ Prompts }) => all.map((told) => new Prompts(...told).wrong))", described
    )


def test_ids_are_those_of_training_on_texts_that_no_tokenizer_of_llama_cpp_cuts_so(browser, made, work):
    told = json.loads((made / "prompts.json").read_text())
    texts = [*probes(work.renderer.tokenizer), *nasty(work.renderer.tokenizer, 200)]
    told["proof"] = list(proof(work.renderer, texts))
    assert len(texts) > 800
    with opened(browser, made) as (page, _):
        assert written_otherwise(page, [(work.renderer, told)]) == [0]
        told["proof"][0][1][0] += 1
        assert written_otherwise(page, [(work.renderer, told)]) == [1]


def ending_tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = byte_tokenizer(merges=40)
    tokenizer.add_special_tokens({"eos_token": "</s>"})
    return tokenizer


def test_every_template_that_is_shipped_writes_the_prompts_of_training(browser, made, monkeypatch):
    """Control tokens that a person types stay words, system prompts and white space are as the template has them."""
    monkeypatch.setattr(web, "PROOFS", 20)
    renderers = {name: Renderer(load_template(name), ending_tokenizer()) for name in shipped()}
    turns = [("system", " the cat\n"), ("user", "sat <|im_end|> on\n\n"), ("assistant", " a"), ("user", "语言 </s>")]
    told = {}
    for name, renderer in renderers.items():
        told[name] = prompts(renderer)
        own = turns[not takes_system(renderer.prompt) :]
        ids = renderer.prompt([text_message(role, text) for role, text in own])
        told[name]["proof"].append(([{"role": role, "content": text} for role, text in own], ids))
    with opened(browser, made) as (page, _):
        pairs = list(zip(renderers.values(), told.values(), strict=True))
        wrong = dict(zip(told, written_otherwise(page, pairs), strict=True))
    assert {name: count for name, count in wrong.items() if count} == {}


def test_the_time_is_written_in_english(browser, made):
    with opened(browser, made, locale="zh-CN") as (page, _):
        form = "%A %a %d %B %b %m %Y %H:%M:%S %%"
        assert page.evaluate(
            "form => import('./clock.js').then(({ clock }) => clock(form, new Date(2026, 6, 4, 5, 6, 7)))", form
        ) == datetime(2026, 7, 4, 5, 6, 7).strftime(form)


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_loading_goes_on_where_it_broke_off(browser, made, knows_ranges):
    with opened(browser, made, limit=5 * PIECE // 2, knows_ranges=knows_ranges) as (page, server):
        page.get_by_role("button", name="Load", exact=False).click()
        page.wait_for_selector("text=That did not work")
        server.limit = None
        page.reload()
        load(page)
        assert server.ranges == [None, f"bytes={2 * PIECE}-"]


def test_a_file_that_is_not_the_exported_one_is_refused(browser, made):
    with opened(browser, made, altered=PIECE + 7) as (page, server):
        page.get_by_role("button", name="Load", exact=False).click()
        page.wait_for_selector(
            f"text=model.gguf is not the file that was exported (bytes {PIECE} to {2 * PIECE} differ)"
        )
        assert page.locator(".send").is_disabled()
        server.altered = None
        page.locator("#notice").get_by_role("button", name="Retry").click()
        load(page)


def test_what_the_browser_kept_is_checked_again(browser, made):
    """A piece that changed on the disk is fetched anew."""
    with opened(browser, made) as (page, server):
        load(page)
        page.evaluate(
            """async () => {
              const [name] = (await caches.keys()).filter(name => name.startsWith("tunesmith-model"));
              const store = await caches.open(name);
              await store.put((await store.keys())[0], new Response("damaged"));
            }"""
        )
        with page.expect_response(re.compile("model.gguf"), timeout=60_000):
            page.reload()
        page.wait_for_selector(".send:enabled", timeout=60_000)
        assert server.ranges == [None, None]


@pytest.mark.parametrize(
    "start",
    [
        "Object.defineProperty(navigator, 'hardwareConcurrency', { get: () => 4 })",
        "delete WebAssembly.Suspending; delete WebAssembly.promising",
        "Object.defineProperty(navigator, 'storage', { get: () => undefined })",
        "navigator.storage.persist = () => new Promise(() => {})",
    ],
    ids=[
        "threads",
        "without JSPI, as Safari",
        "without a storage manager, as WebKitGTK",
        "whose person does not reply",
    ],
)
def test_other_browsers_get_the_same_answer(browser, made, expected, start):
    with opened(browser, made, start) as (page, _):
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        page.reload()  # now the service worker adds the headers that threads need
        load(page)
        threads = 2 if "hardware" in start else 1
        assert page.evaluate("crossOriginIsolated")
        assert f"threads: {threads}" in page.locator("#top select").first.get_attribute("title")
        assert ask(page, QUESTIONS[0]) == expected[QUESTIONS[0]]


def test_a_device_with_too_little_memory_is_warned(browser, made):
    small = "Object.defineProperty(navigator, 'deviceMemory', { get: () => 0.125 })"
    with opened(browser, made, small) as (page, _):
        page.get_by_role("button", name="Load", exact=False).click()
        page.wait_for_selector("text=this device reports 134.2 MB")
        page.get_by_role("button", name="Load anyway").click()
        page.wait_for_selector(".send:enabled", timeout=60_000)


def test_a_browser_without_room_refuses_before_it_loads(browser, made):
    full = "navigator.storage.estimate = async () => ({ quota: 2_000_000, usage: 500_000 })"
    with opened(browser, made, full) as (page, server):
        page.get_by_role("button", name="Load", exact=False).click()
        page.wait_for_selector("text=of storage; this browser grants 1.5 MB")
        assert page.locator(".send").is_disabled()
        assert server.ranges == []


@pytest.mark.parametrize(
    ("locale", "told"), [("en-US", "There is no room left for the model."), ("zh-CN", "没有空间存放模型了。")]
)
def test_a_browser_that_runs_full_says_so_and_goes_on_once_there_is_room(browser, made, locale, told):
    """The third piece finds no room; an estimate beforehand may promise too much."""
    full = """
      let left = 2;
      const put = Cache.prototype.put;
      Cache.prototype.put = async function (place, response) {
        if (!String(place.url ?? place).includes("model/pieces/") || left-- > 0) return put.call(this, place, response);
        throw new DOMException("Quota exceeded.", "QuotaExceededError");
      };
      window.makeRoom = () => { left = Infinity; };
    """
    with opened(browser, made, full, locale) as (page, server):
        page.locator("#notice button").click()
        page.wait_for_selector(f"text={told}")
        assert page.locator(".send").is_disabled()
        page.evaluate("makeRoom()")
        page.locator("#notice button").click()  # again
        page.locator("#notice button").click()  # load
        page.wait_for_selector(".send:enabled", timeout=60_000)
        assert server.ranges == [None, f"bytes={2 * PIECE}-"]


def test_an_answer_can_be_stopped(browser, made):
    with opened(browser, made) as (page, _):
        load(page)
        page.evaluate(
            "localStorage.setItem('tunesmith.sampling', JSON.stringify({ temperature: 0, max_tokens: 100000 }))"
        )
        page.fill("#ask", "The cat is")
        page.click(".send")
        page.wait_for_selector(".turn.assistant > .text > *")
        page.click(".stop")
        page.wait_for_selector("text=Stopped")
        assert 0 < len(kept(page)) < 100_000
        assert ask(page, "Again") != ""


@pytest.mark.parametrize(
    ("locale", "told"),
    [
        ("en-US", "tokens; the model takes 1024 with its answer). Shorten the question or start a new conversation."),
        ("zh-CN", "模型连同回答最多容纳 1024 个）。请缩短问题，或开始新对话。"),
    ],
)
def test_a_question_that_is_too_long_is_refused_clearly_and_the_conversation_goes_on(browser, made, locale, told):
    with opened(browser, made, locale=locale) as (page, _):
        page.locator("#notice button").click()
        page.wait_for_selector(".send:enabled", timeout=60_000)
        page.fill("#ask", "cat " * 2000)
        page.click(".send")
        page.wait_for_selector(f"#notice >> text={told}")
        page.fill("#ask", QUESTIONS[0])
        page.click(".send")
        page.wait_for_selector("body:not(.busy) .turn.assistant .acts button", timeout=60_000)
        assert page.locator(".turn.user > .text").all_inner_texts() == [QUESTIONS[0]]
        assert page.locator("#notice").inner_text() == ""


def test_the_export_lists_what_it_holds(made):
    told = json.loads((made / "model.json").read_text())
    [file] = told["files"]
    whole = (made / "model" / file["name"]).read_bytes()
    assert (file["size"], file["sha256"]) == (len(whole), sha256(whole).hexdigest())
    cuts = pairwise([*range(0, len(whole), PIECE), len(whole)])
    assert file["pieces"] == [sha256(whole[start:end]).hexdigest() for start, end in cuts]
    assert told["context"] == 1024  # nano has no more positions
    assert told["memory"] > len(whole) + 1024 * 6 * 2 * 192 * 2
    app = json.loads((made / "files.js").read_text().removeprefix("self.APP = ").removesuffix(";\n"))
    missing = [name for name in app["files"] if not (made / name).exists()]
    assert missing == []


def test_without_the_runtime_the_export_is_refused_before_anything_is_written(work, tmp_path, monkeypatch):
    monkeypatch.setitem(RUNTIME, "index.js", "@wllama/wllama/esm/absent.js")
    with pytest.raises(UserError) as refused:
        Web().write(work, tmp_path)
    assert refused.value.cure == "make setup-web"
    assert list(tmp_path.iterdir()) == []


def test_a_context_without_room_is_refused():
    with pytest.raises(UserError, match="context=0"):
        Web(context=0)
