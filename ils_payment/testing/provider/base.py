"""What the tests of a provider's contract share: attempts, sessions, and money that was taken."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ils_payment.model import (
    Attempt,
    AttemptLine,
    Forged,
    PayState,
    ReadSupport,
    Started,
    StartRefused,
    Unclear,
)
from ils_payment.testing.contract import Contract
from ils_payment.testing.stands import ProviderStand, SeenSession

if TYPE_CHECKING:
    from ils_payment.model import Observation, ProviderCapabilities, Reversal

readable = (ReadSupport.FULL, ReadSupport.WITH_RETURN)
CENTS = 1250


class ProviderTests(Contract):
    """``provider`` is the plugin, ``can`` what it declares."""

    stand: ProviderStand
    provider: Any
    can: ProviderCapabilities

    def opened(self) -> None:
        """Connect the plugin."""
        self.provider = self.stand.open()
        self.can = self.provider.capabilities()
        self.refs: dict[str, str] = {}
        self.heard: dict[str, Observation] = {}
        self.left: list[Reversal] = []

    def attempt(self, reference: str = "PAY1", cents: int = CENTS, **changes: Any) -> Attempt:  # noqa: ANN401 - fields of the attempt
        """Return an attempt with its request, as the ledger has it before the start."""
        fields: dict[str, Any] = {
            "key": f"KEY-{reference}{self.stand.nonce}",
            "reference": reference,
            "cents": cents,
            "currency": self.stand.library.currency,
            "method": self.provider.methods()[0],
            "lines": (AttemptLine(text="Säumnisgebühr", cents=cents),),
            "language": "de",
            "return_url": "https://pay.town.example/r/token",
            "cancel_url": "https://pay.town.example/c/token",
            "created_at": self.stand.world.now(),
            "installation": "installation-1",
        }
        attempt = Attempt(**(fields | changes))
        return replace(attempt, request=self.provider.prepare(attempt))

    def start(self, attempt: Attempt) -> Any:  # noqa: ANN401 - an outcome
        """Start, look whether the outcome is one at all, and note what it says."""
        outcome = self.tell(self.provider.start(attempt))
        assert isinstance(outcome, Started | StartRefused | Unclear)
        return outcome

    def started(self, reference: str = "PAY1", cents: int = CENTS, **changes: Any) -> str:  # noqa: ANN401 - fields of the attempt
        """Start what must start, and return the session's reference."""
        outcome = self.start(self.attempt(reference, cents, **changes))
        assert isinstance(outcome, Started), outcome
        self.refs[reference] = outcome.session_ref
        return outcome.session_ref

    def paid(self, reference: str = "PAY1", cents: int = CENTS) -> str:
        """Start a session and pay in it; a few seconds pass, as in reality."""
        ref = self.started(reference, cents)
        self.stand.simulated.pass_time(seconds=20)
        self.stand.pay(ref, self.provider.methods()[0])
        return ref

    def read(self, ref: str) -> Observation:
        """Say what is true of a session: what is read, or what notices told of it where these decide."""
        if getattr(self.can, "notices_decide", False):
            self.listen()
            if ref in self.heard:
                return self.heard[ref]
        return self.ask(ref)

    def ask(self, ref: str) -> Observation:
        """Read a session, with what its payer brought back where that is needed."""
        seen: Observation = self.provider.read(ref, self.stand.return_params(ref))
        self.said.append(seen.evidence)
        return seen

    def listen(self) -> None:
        """Take the notices that are due, and keep of each session what counts most: that it was paid."""
        for request in self.stand.notices():
            heard = self.provider.notice(request, self.stand.world.now())
            for notice in heard if not isinstance(heard, Forged) else ():
                ref = self.refs.get(notice.reference or "") or notice.session_ref or ""
                known, told = self.heard.get(ref), notice.observation
                self.left += told.reversals if told else ()
                # "Open" says nothing of the session, as in a notice of a refund alone.
                if told and told.state is not PayState.OPEN and not (known and known.state is PayState.PAID):
                    self.heard[ref] = told

    def reversals(self, ref: str) -> tuple[Reversal, ...]:
        """Return what left again of a session's money, as it is read or as notices told it."""
        return self.read(ref).reversals or tuple(self.left)

    def of(self, reference: str) -> list[SeenSession]:
        """Return the sessions of a payment in the provider's books."""
        return [one for one in self.stand.sessions() if one.reference == reference]

    def later(self, span: timedelta) -> None:
        """Let time pass."""
        self.stand.simulated.pass_time(seconds=span.total_seconds())
