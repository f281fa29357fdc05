"""Every call to a library system or a provider passes here: counted and timed, and nothing else.

What is told of a call is its kind, its outcome as one of a few words, and its seconds: never what went in
or came out. Who counts (the metrics of ``serve``) sets :attr:`Watch.seen`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ils_payment import model, ports
from ils_payment.errors import (
    RemoteAbsentError,
    RemoteError,
    RemoteGarbledError,
    RemoteRefusedError,
    RemoteUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_Plugin = TypeVar("_Plugin")

_DOORS = (
    ports.LibrarySystem,
    ports.Charging,
    ports.Renewing,
    ports.Lifting,
    ports.Expiring,
    ports.Pricing,
    ports.Contacting,
    ports.Evidencing,
    ports.PaymentProvider,
    ports.Refunding,
    ports.FindingRefunds,
    ports.Listing,
    ports.PayingOut,
    ports.ELendingPlatform,
)
_INSIDE = {"capabilities", "check", "methods", "notice", "prepare", "reply"}
"""What a plugin answers without asking anybody; and ``check``, in which an administrator sees everything."""

CALLS = frozenset(
    name
    for door in _DOORS
    for name, value in vars(door).items()
    if callable(value) and not name.startswith("_") and name not in _INSIDE and name != "Config"
)
"""The methods of all doors that ask a remote."""

_ANSWERS: dict[type, str] = {
    model.Refused: "refused",
    model.StartRefused: "refused",
    model.RefundRefused: "refused",
    model.NotApplied: "not_applied",
    model.Unavailable: "unavailable",
    model.Unclear: "unclear",
    model.CannotTell: "unclear",
}
_ERRORS: dict[type[Exception], str] = {
    RemoteUnavailableError: "unavailable",
    RemoteAbsentError: "absent",
    RemoteRefusedError: "denied",
    RemoteGarbledError: "garbled",
    RemoteError: "unavailable",
}
OUTCOMES = ("ok", *dict.fromkeys((*_ANSWERS.values(), *_ERRORS.values())), "error")
"""Every word for an outcome. ``error``: the plugin itself failed."""


class Watch:
    """Where calls are told; a house has one for all its desks."""

    def __init__(self, clock: Callable[[], float] = lambda: 0.0) -> None:
        """Tell nobody yet; *clock* gives seconds and never goes back."""
        self.clock = clock
        self.seen: Callable[[str, str, str, str, float], None] = lambda *_: None
        """Takes library, remote, call, outcome, seconds; may be called from any thread."""


class _Watched:
    """A plugin whose calls are told; it has every public name of the plugin, so that doors are found."""

    def __init__(self, plugin: Any, library: str, remote: str, watch: Watch) -> None:  # noqa: ANN401 - any plugin
        self._plugin = plugin
        self._where = library, remote
        self._watch = watch
        for name in dir(plugin):
            if name.startswith("_"):
                continue
            if callable(getattr(plugin, name)) and name != "Config":
                setattr(self, name, partial(self._call if name in CALLS else self._pass, name))
            else:
                setattr(self, name, getattr(plugin, name))

    def _pass(self, name: str, *values: Any, **named: Any) -> Any:  # noqa: ANN401 - what the plugin takes and gives
        return getattr(self._plugin, name)(*values, **named)

    def _call(self, name: str, *values: Any, **named: Any) -> Any:  # noqa: ANN401 - what the plugin takes and gives
        start = self._watch.clock()
        try:
            answer = getattr(self._plugin, name)(*values, **named)
        except Exception as error:
            self._tell(name, _word(_ERRORS, error, "error"), start)
            raise
        self._tell(name, _word(_ANSWERS, answer, "ok"), start)
        return answer

    def _tell(self, name: str, outcome: str, start: float) -> None:
        self._watch.seen(*self._where, name, outcome, self._watch.clock() - start)


def watched(plugin: _Plugin, library: str, remote: str, watch: Watch) -> _Plugin:
    """Return *plugin* with every call to its remote told to *watch*."""
    return cast("_Plugin", _Watched(plugin, library, remote, watch))


def _word(words: dict[Any, str], found: object, otherwise: str) -> str:
    """Return the word of the first class that *found* is an instance of."""
    return next((word for kind, word in words.items() if isinstance(found, kind)), otherwise)
