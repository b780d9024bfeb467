"""tunesmith serve: answer over HTTP as OpenAI's interface does."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.console import emit, human
from tunesmith.errors import UserError, missing_extra
from tunesmith.messages import tr

EXAMPLES = tr("Examples: tunesmith serve my-model  |  tunesmith serve my-model other-model --ratings ratings.jsonl")


def serve(
    models: Annotated[
        list[str], typer.Argument(help=tr("Model folders, adapter folders, GGUF files, nano, or hub ids."))
    ],
    host: Annotated[str, typer.Option("--host", help=tr("Address; any but this machine's own needs --token."))] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help=tr("Port; 0: a free one."))] = 8000,
    token: Annotated[
        str, typer.Option("--token", envvar="TUNESMITH_TOKEN", help=tr("What clients must show as Bearer token."))
    ] = "",
    template: Annotated[
        str, typer.Option("--template", help=tr("Shipped template or .jinja file; default: the model's own."))
    ] = "",
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            help=tr(
                "What computes the answers: auto (transformers, llama.cpp), or vllm, sglang on a GPU, not tried yet."
            ),
        ),
    ] = "auto",
    max_context: Annotated[
        int,
        typer.Option(
            "--max-context", min=0, help=tr("Longest prompt and answer, in tokens; 0: the model's, up to 4096.")
        ),
    ] = 0,
    parallel: Annotated[int, typer.Option("--parallel", min=1, help=tr("Answers that a model computes at once."))] = 8,
    queue: Annotated[
        int, typer.Option("--queue", min=1, help=tr("Answers that may wait or run; more are sent away."))
    ] = 64,
    time_limit: Annotated[float, typer.Option("--time-limit", min=0.1, help=tr("Longest answer, in seconds."))] = 300.0,
    max_body: Annotated[int, typer.Option("--max-body", min=1, help=tr("Largest request, in bytes."))] = 1_000_000,
    drain: Annotated[
        float, typer.Option("--drain", min=0.0, help=tr("Seconds that running answers have when it is told to stop."))
    ] = 30.0,
    ratings: Annotated[
        Path | None, typer.Option("--ratings", help=tr("File for preferences from the chat page, one JSON line each."))
    ] = None,
    json: Annotated[bool, typer.Option("--json", help=tr("Print one JSON object on stdout when it is ready."))] = False,
) -> None:
    try:
        from tunesmith.serve import running
    except ModuleNotFoundError as error:
        raise missing_extra(str(error.name), "serve", "tunesmith serve") from error
    from tunesmith.serve.house import House
    from tunesmith.serve.limits import Limits
    from tunesmith.serve.loading import open_models
    from tunesmith.serve.starting import program_named

    console = human()
    running.refuse_open_door(host, token)
    refuse_unwritable(ratings)
    program = program_named(engine)
    limits = replace(
        Limits(), context=max_context, parallel=parallel, queue=queue, seconds=time_limit, body=max_body, drain=drain
    )
    listening = running.listen(host, port)
    found = open_models(models, template, limits, lambda text: console.print(text, markup=False), program)
    house = House(found, limits)
    house.ratings = ratings
    name = f"[{host}]" if ":" in host else host
    url = f"http://{name}:{listening.getsockname()[1]}"
    if json:
        emit({"url": url, "models": list(house.models)})
    console.print(tr("serving at {url}; Ctrl-C stops it", url=url), markup=False)
    running.run(house, token, listening)


def refuse_unwritable(ratings: Path | None) -> None:
    """Raise UserError where the file cannot be written: better now than at the first preference."""
    if ratings is None:
        return
    try:
        ratings.open("ab").close()
    except OSError as error:
        raise UserError(
            tr("{path} cannot be written: {reason}", path=ratings, reason=error.strerror or str(error)),
            tr("choose another --ratings"),
        ) from error


serve.__doc__ = tr("Serve models over HTTP, as OpenAI's interface does, with a chat page.")
