"""Our preparation of the first rows of a folder: prepare_ours FOLDER COUNT."""

import json
import os
import sys
import tempfile
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

from bench.workers.meter import peak_bytes
from tunesmith.recipe import Budget, Tune
from tunesmith.records import Conversation
from tunesmith.stages.examples import Preparation, gather
from tunesmith.stages.reading import Reading, cut
from tunesmith.text.tokenizer import load_tokenizer

WARM = 500  # rows


def main() -> None:
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    with tempfile.TemporaryDirectory(dir=folder) as caches, (folder / "chats.jsonl").open(encoding="utf-8") as lines:
        os.environ["XDG_CACHE_HOME"] = caches
        data = Path(caches) / "chats.jsonl"
        data.write_text("".join(islice(lines, count)), encoding="utf-8")
        few = Path(caches) / "few.jsonl"
        with data.open(encoding="utf-8") as first:
            few.write_text("".join(islice(first, WARM)), encoding="utf-8")
        stage = Tune(data=(str(data),), template="chatml", tune=Budget(max_length=1 << 20))
        warm = replace(stage, data=(str(few),))
        gather(warm, load_tokenizer(str(folder / "tokenizer")), lambda line: None)  # imports and caches of code
        reading = Reading(stage.data, "openai")
        chats: list[Conversation] = list(reading.conversations())
        preparation = Preparation(stage, load_tokenizer(str(folder / "tokenizer")))
        start = time.process_time()
        portions = [preparation.make(portion, len(portion), []) for portion in cut(chats)]
        seconds = time.process_time() - start
        peak = peak_bytes()
        os.environ["XDG_CACHE_HOME"] = str(Path(caches) / "another")
        words = load_tokenizer(str(folder / "tokenizer"))
        start = time.process_time()
        gather(stage, words, lambda line: None)
        whole = time.process_time() - start
    examples = [example for portion in portions for example in portion.examples]
    found = {
        "records": len(chats), "seconds": seconds, "whole_seconds": whole, "peak_bytes": peak,
        "tokens": sum(map(len, examples)), "proofs": sum(p.passed for portion in portions for p in portion.proofs),
    }  # fmt: skip
    print("RESULT " + json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
