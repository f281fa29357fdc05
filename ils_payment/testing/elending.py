"""The contract kit for eLending platforms: what the core relies on, as tests to inherit.

A plugin's test module makes a class ``TestMyPlatform(PlatformContract)`` with three fixtures: ``platform``
(opened, on a simulated world), ``open_question`` and ``blocked_question`` (a patron to whom it lends, and
one to whom it does not, both without a PIN); for a platform that asks us also the attribute ``source``, an
address from which it may ask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment.errors import RemoteError, RemoteUnavailableError
from ils_payment.model import HINDRANCE_KINDS, LIFTERS, Freshness, RawRequest, Refused, Unavailable, Verdict
from ils_payment.ports import ELendingPlatform, Serving

if TYPE_CHECKING:
    from ils_payment.model import Account, Card, PatronRef, Question, Reply


class Reader:
    """A library system as a platform sees it, which knows the patron of one question, or knows nobody."""

    def __init__(self, question: Question, found: PatronRef | Refused | Unavailable, *, down: bool) -> None:
        self.question = question
        self.found = found
        self.down = down
        self.calls: list[str] = []

    def sign_in(self, card: str, pin: str) -> PatronRef | Refused | Unavailable:
        """Answer as the test wants, whatever card and PIN are."""
        self.calls.append("sign_in")
        return self.found

    def account(self, patron: PatronRef) -> Account:
        """Return the account of the question, or fail."""
        self.calls.append("account")
        if self.down:
            raise RemoteUnavailableError("The library system does not answer.")
        return self.question.account

    def card(self, patron: PatronRef) -> Card:
        """Return the card of the question."""
        self.calls.append("card")
        return self.question.card


class PlatformContract:
    """What every eLending platform promises."""

    source = "192.0.2.1"

    def test_it_has_the_doors_that_it_declares(self, platform: ELendingPlatform) -> None:
        """A class that declares what it does not have is refused at the start."""
        can = platform.capabilities()
        assert isinstance(platform, ELendingPlatform)
        assert can.name
        assert (can.delay is not None) == (can.freshness is Freshness.DELAYED)
        assert not can.inbound or isinstance(platform, Serving)

    def test_an_answer_says_how_it_was_found(
        self, platform: ELendingPlatform, open_question: Question, blocked_question: Question
    ) -> None:
        """Unattended there is no PIN: what needs one was not asked. Whom it lends to, nothing hinders."""
        for question in (open_question, blocked_question):
            assert question.pin is None
            answer = platform.ask(question)
            assert not (answer.asked and platform.capabilities().needs_pin)
            assert answer.as_of.tzinfo is not None
            assert {one.kind for one in answer.hindrances} <= HINDRANCE_KINDS
            assert {one.lifted_by for one in answer.hindrances} <= LIFTERS
        assert platform.ask(open_question).verdict is Verdict.OPEN
        assert platform.ask(open_question).hindrances == ()
        assert platform.ask(blocked_question).verdict is Verdict.BLOCKED
        assert platform.ask(blocked_question).hindrances

    def test_asking_again_changes_nothing(
        self, platform: ELendingPlatform, blocked_question: Question
    ) -> None:
        """The core asks as often as it likes."""
        first, second = platform.ask(blocked_question), platform.ask(blocked_question)
        assert (first.verdict, first.code, first.hindrances) == (
            second.verdict,
            second.code,
            second.hindrances,
        )

    def test_nothing_personal_is_in_an_answer(
        self, platform: ELendingPlatform, blocked_question: Question
    ) -> None:
        """Answers are kept: no card number, no text of a fee."""
        told = repr(platform.ask(blocked_question))
        private = [blocked_question.card.number, *(fee.text for fee in blocked_question.account.fees)]
        assert not [one for one in private if one and one in told]

    def test_a_failure_is_an_error_of_ours(self, platform: ELendingPlatform, open_question: Question) -> None:
        """``check`` never raises; ``ask`` raises nothing but RemoteError, also with a PIN that is wrong."""
        assert all(finding.subject and finding.seen for finding in platform.check())
        question = type(open_question)(
            patron=open_question.patron,
            account=open_question.account,
            card=open_question.card,
            pin="certainly-wrong",
        )
        try:
            platform.ask(question)
        except RemoteError:
            return

    def test_it_never_raises_when_it_is_asked(
        self, platform: ELendingPlatform, open_question: Question
    ) -> None:
        """Whatever is posted, from wherever, and however the library system is."""
        for body in (b"", b"\xff\x00", b"sno=1&pwd=2", b"{}", b"<x/>", b"a=" * 5000):
            for source in (self.source, "198.51.100.250", "", "nowhere"):
                for found in (open_question.patron, Refused(), Unavailable("down")):
                    reader = Reader(open_question, found, down=body == b"sno=1&pwd=2")
                    reply = self._served(platform, body, source, reader)
                    assert reply is None or 200 <= reply.status < 600

    def test_nobody_is_read_about_before_the_library_system_knows_them(
        self, platform: ELendingPlatform, open_question: Question
    ) -> None:
        """A refused sign-in is the end: an answer that took longer would tell that there is such a card."""
        reader = Reader(open_question, Refused(), down=False)
        self._served(platform, b"sno=1&pwd=2", self.source, reader)
        assert set(reader.calls) <= {"sign_in"}

    @staticmethod
    def _served(platform: ELendingPlatform, body: bytes, source: str, reader: Reader) -> Reply | None:
        door: object = platform
        if not platform.capabilities().inbound or not isinstance(door, Serving):
            return None
        request = RawRequest(
            method="POST",
            path="/elending/town/platform",
            query="",
            headers={"content-type": "application/x-www-form-urlencoded"},
            body=body,
        )
        return door.serve(request, source, reader)
