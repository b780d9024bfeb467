"""Programs that compute the answers in a process of their own: found, started, and tried before anyone asks."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

from tunesmith.chat import Sampling
from tunesmith.errors import UserError, missing_extra
from tunesmith.messages import tr
from tunesmith.serve.engines.base import Ask
from tunesmith.serve.engines.child import executable, free_port, start
from tunesmith.serve.engines.draw import EngineError
from tunesmith.serve.engines.programs import PROGRAMS, Order, Program
from tunesmith.serve.engines.remote import RemoteEngine
from tunesmith.serve.tongue import Tongue

HERE = "auto"  # the engine that is none of them: this process computes the answers


def program_named(name: str) -> Program | None:
    """The program that --engine names, which must be installed; None for auto."""
    if name == HERE:
        return None
    if name not in PROGRAMS:
        raise UserError(
            tr("no engine {name!r}", name=name), tr("use one of {names}", names=", ".join([HERE, *PROGRAMS]))
        )
    executable_of(PROGRAMS[name])
    return PROGRAMS[name]


def executable_of(program: Program) -> str:
    found = executable(program.command)
    if found is None:
        raise missing_extra(program.command, program.command, f"serve --engine {program.command}")
    return found


def start_engine(
    program: Program, folder: Path, tongue: Tongue, context: int, slots: int, say: Callable[[str], None]
) -> RemoteEngine:
    """A program that has loaded the model in a folder and answers. Raises UserError with its last words if it fails."""
    order = Order(str(folder.resolve()), free_port(), context, slots)
    child = start(program.name, [executable_of(program), *program.arguments(order)], program.settings)
    say(tr("{engine} loads the model; what it prints goes to {path}", engine=program.name, path=child.log))
    engine = RemoteEngine(program, child, f"http://127.0.0.1:{order.port}", context - program.spare)
    try:
        child.wait(f"{engine.url}/health")
        asyncio.run(
            answers(engine, Ask(tuple(tongue.encode("1 + 1 =")) or (0,), frozenset(), Sampling(0.0, 1.0, 1), 1))
        )
    except EngineError as error:
        child.close()
        raise UserError(
            tr("{engine} does not answer as is needed here: {reason}", engine=program.name, reason=error),
            tr("its whole log is {path}", path=child.log),
        ) from error
    except BaseException:
        child.close()
        raise
    child.watch(say)
    return engine


async def answers(engine: RemoteEngine, ask: Ask) -> None:
    """Raises EngineError unless a token comes, with its log-probability."""
    async with aclosing(engine.answer(ask)) as coming:
        steps = await anext(coming, None)
    if not steps or not steps[0].top:
        raise EngineError("no token came")
