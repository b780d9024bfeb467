"""A client of a server in OpenAI's format: ask URL MODEL TOKENS; a list of prompts in ids a line, all asked at once.

Answers each line with the count of tokens that came, when all have come.
"""

import asyncio
import json
import sys
from collections.abc import Sequence

import httpx


async def ask(client: httpx.AsyncClient, url: str, model: str, tokens: int, ids: Sequence[int]) -> int:
    """Tokens of a streamed answer."""
    said = 0
    body = {"model": model, "prompt": list(ids), "max_tokens": tokens, "temperature": 0, "stream": True}
    body["stream_options"] = {"include_usage": True}
    async with client.stream("POST", f"{url}/v1/completions", json=body) as response:
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                said = (json.loads(line[6:]).get("usage") or {}).get("completion_tokens", said)
    return said


async def ask_all(url: str, model: str, tokens: int, prompts: Sequence[Sequence[int]]) -> int:
    async with httpx.AsyncClient(timeout=300) as client:
        return sum(await asyncio.gather(*(ask(client, url, model, tokens, ids) for ids in prompts)))


def main() -> None:
    url, model, tokens = sys.argv[1:]
    for line in sys.stdin:
        print(asyncio.run(ask_all(url, model, int(tokens), json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
