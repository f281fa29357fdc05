"""Turns at a library system: so many calls at once as it bears, the others wait a little and then come back.

The calls wait in the event loop and run in threads of their own. So a library system that answers
slowly takes neither Starlette's threads from the rest of the house nor the other libraries' turns.
The payment providers of a library have a line of their own.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated, TypeVar, TypeVarTuple

import anyio
from anyio import from_thread, to_thread
from fastapi import Depends, Request

from ils_payment.errors import RemoteUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ils_payment.flows.desk import Desk

ASKING = 32
"""So many questions of eLending platforms are in threads at once; the others wait in the event loop."""

AT_PROVIDERS = 8
"""So many pages of a library ask its payment providers at once."""

PATIENCE = 5.0
"""Seconds that a patron waits for a turn."""

_Arguments = TypeVarTuple("_Arguments")
_Answer = TypeVar("_Answer")


class Turns:
    """The turns at all library systems of the house; libraries that share a system share its turns."""

    def __init__(self) -> None:
        """Begin with nobody waiting. A semaphore belongs to the event loop in which it is made: later."""
        self._any: dict[str, anyio.Semaphore] = {}
        self._sign_ins: dict[str, anyio.Semaphore] = {}
        self._providers: dict[str, anyio.Semaphore] = {}
        # The turns are the bound; without a limiter of its own a call would take one of Starlette's threads.
        self._threads = anyio.CapacityLimiter(float("inf"))
        self._asking = anyio.CapacityLimiter(ASKING)

    async def take(
        self, desk: Desk, call: Callable[[*_Arguments], _Answer], *args: *_Arguments, sign_in: bool = False
    ) -> _Answer:
        """Return the answer of *call* when it is its turn; RemoteUnavailableError when none comes in time.

        One *sign_in* at a time: a library system that counts wrong PINs is to be asked again only
        once it has counted the one before.
        """
        async with await self._taken(desk, sign_in=sign_in):
            return await to_thread.run_sync(partial(call, *args), limiter=self._threads)

    async def at_provider(
        self, desk: Desk, call: Callable[[*_Arguments], _Answer], *args: *_Arguments
    ) -> _Answer:
        """Return the answer of *call*, which asks a payment provider; RemoteUnavailableError as in take."""
        async with await self._taken(desk, provider=True):
            return await to_thread.run_sync(partial(call, *args), limiter=self._threads)

    async def _taken(self, desk: Desk, *, sign_in: bool = False, provider: bool = False) -> AsyncExitStack:
        """Wait for a turn; return what gives it back. RemoteUnavailableError when none comes in time."""
        lines = [self._provider(desk)] if provider else self._lines(desk, sign_in=sign_in)
        async with AsyncExitStack() as held:
            try:
                with anyio.fail_after(PATIENCE):
                    for line in lines:
                        await held.enter_async_context(line)
            except TimeoutError:
                slow = "payment provider" if provider else "library system"
                raise RemoteUnavailableError(
                    "No call was free in time.", mend=f"The {slow} answers too slowly."
                ) from None
            return held.pop_all()

    async def between(self, call: Callable[[*_Arguments], _Answer], *args: *_Arguments) -> _Answer:
        """Return the answer of *call*, which takes a turn for each of its questions (:meth:`held`)."""
        return await to_thread.run_sync(partial(call, *args), limiter=self._asking)

    @contextmanager
    def held(self, desk: Desk, *, sign_in: bool = False) -> Iterator[None]:
        """Hold a turn in a thread of :meth:`between`; RemoteUnavailableError when none comes in time."""
        taken = from_thread.run(partial(self._taken, desk, sign_in=sign_in))
        try:
            yield
        finally:
            from_thread.run(taken.aclose)

    def _provider(self, desk: Desk) -> anyio.Semaphore:
        return self._providers.setdefault(desk.key, anyio.Semaphore(AT_PROVIDERS))

    def _lines(self, desk: Desk, *, sign_in: bool) -> list[anyio.Semaphore]:
        """Return what has to be held, in the order in which everybody takes it."""
        at_once = desk.system.capabilities().parallel_calls
        lines = [self._any.setdefault(desk.patrons, anyio.Semaphore(at_once))]
        if sign_in:
            lines.insert(0, self._sign_ins.setdefault(desk.patrons, anyio.Semaphore(1)))
        return lines


async def _turns(request: Request) -> Turns:
    turns: Turns = request.app.state.turns
    return turns


TurnsHere = Annotated[Turns, Depends(_turns)]
