"""The asyncio forms, without a thread: a session's descriptor tells the event loop."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable
from typing import Any

from evalbox import _native
from evalbox._native import DENY, Decision, Output, Plan, Session, Syscall
from evalbox.contexts import Context

_Decide = Callable[[Context], "Decision | Awaitable[Decision | None] | None"]


async def next_event(session: Session) -> _native._Event | None:
    """The session's next event, or None if nothing runs. Other tasks run meanwhile."""
    loop = asyncio.get_running_loop()
    while True:
        event = session.poll(0)
        if event is not None or session.active == 0:
            return event
        ready: asyncio.Future[None] = loop.create_future()
        # A loop knows one reader for each descriptor, and others may wait for this session.
        number = os.dup(session.fileno())

        def wake(ready: asyncio.Future[None] = ready) -> None:
            if not ready.done():
                ready.set_result(None)

        loop.add_reader(number, wake)
        # Another task may have taken the last event, or closed the session.
        again = loop.call_later(0.5, wake)
        try:
            await ready
        finally:
            again.cancel()
            loop.remove_reader(number)
            os.close(number)


async def enter(session: Session) -> Session:
    """`async with`."""
    return session.__enter__()


async def leave(session: Session) -> None:
    """The end of `async with`: a killed sandbox is gone within moments."""
    session.close()


async def following(session: Session) -> _native._Event:
    """`async for`."""
    event = await next_event(session)
    if event is None:
        raise StopAsyncIteration
    return event


async def run(plan: Plan, *, check: bool = False) -> Output:
    """Runs a plan to its end. Its callback may be an ordinary or an async function; of the latter
    several run at once, and a slow one holds up only its own call."""
    plan, decide = plan._parts()
    answers: set[asyncio.Task[None]] = set()
    failure: BaseException | None = None
    with Session() as session:
        job = session.spawn(plan)

        def failed(error: BaseException) -> None:
            nonlocal failure
            failure = failure or error
            if session.active:
                session.kill(job)

        async def answer(event: Syscall, said: Awaitable[Decision | None]) -> None:
            try:
                event.respond(_decision(await said))
            except BaseException as error:
                event.deny()
                failed(error)

        def ask(event: Syscall, decide: _Decide) -> None:
            try:
                said: Any = decide(event.context)
                if inspect.isawaitable(said):
                    task = asyncio.ensure_future(answer(event, said))
                    answers.add(task)
                    task.add_done_callback(answers.discard)
                else:
                    event.respond(_decision(said))
            except BaseException as error:
                event.deny()
                failed(error)

        try:
            while True:
                event = await next_event(session)
                match event:
                    case Syscall():
                        if decide is None:
                            event.deny(reason="there is nobody to ask")
                        else:
                            ask(event, decide)
                    case _native.Completed(output=output) | _native.TimedOut(output=output):
                        break
                    case _native.Failed(error=error):
                        raise error
        finally:
            for task in answers:
                task.cancel()
    if failure is not None:
        raise failure
    return output.check() if check else output


def _decision(said: object) -> Decision:
    if said is None:
        return DENY(reason="no answer")
    if isinstance(said, Decision):
        return said
    kind = type(said).__name__
    raise TypeError(f"the callback must return evalbox.ALLOW, DENY, KILL or None, not {kind}")
