"""Webhooks: what is genuine, what is forged, and what neither can do."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from ils_payment.model import Forged, Notice, RawRequest
from ils_payment.testing.kit import declared
from ils_payment.testing.provider.base import ProviderTests

if TYPE_CHECKING:
    from collections.abc import Sequence

_BODIES = {
    "nothing": b"",
    "no JSON": b"\xff\xfe\x00",
    "an empty object": b"{}",
    "a list": b"[]",
    "null": b"null",
    "deep": b"[" * 5000,
    "a form": b"a=1&b=2",
    "XML": b'<!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]><x>&y;</x>',
    "long": b'"' + b"x" * 2_000_000 + b'"',
    "a number beyond all": b'{"id": 1e999999}',
}


class NoticingTests(ProviderTests):
    """``notice``."""

    def _hear(self, request: RawRequest, **later: float) -> Sequence[Notice] | Forged:
        now = self.stand.world.now() + timedelta(**later)
        sent = self.stand.sent()
        heard: Sequence[Notice] | Forged = self.tell(self.provider.notice(request, now))
        assert self.stand.sent() == sent, "a notice is verified without asking anybody"
        return heard

    def _genuine(self) -> list[RawRequest]:
        self.paid()
        requests = self.stand.notices()
        assert requests, "the stand sent no notice of a payment"
        return requests

    @declared(notices=True)
    def test_the_notices_of_a_payment_are_genuine_and_one_leads_to_it(self) -> None:
        ref = self.paid()
        notices = [notice for request in self.stand.notices() for notice in self._list(request)]
        assert [one for one in notices if ref == one.session_ref or one.reference == "PAY1"]
        assert all(notice.key and notice.kind for notice in notices)

    @declared(notices=True)
    def test_notices_of_two_payments_have_keys_of_their_own(self) -> None:
        self.paid("PAY1")
        self.paid("PAY2", 300)
        keys = [notice.key for request in self.stand.notices() for notice in self._list(request)]
        assert len(set(keys)) == len(keys) >= 2

    @declared(notices=True)
    def test_the_same_delivery_again_has_the_same_key(self) -> None:
        for request in self._genuine():
            assert self._hear(request) == self._hear(request)

    @declared(notices=True)
    def test_no_observation_comes_with_a_notice_unless_notices_decide(self) -> None:
        decides = getattr(self.can, "notices_decide", False)
        for request in self._genuine():
            assert decides or all(notice.observation is None for notice in self._list(request))

    @declared(notices=True)
    @pytest.mark.parametrize("place", [0.2, 0.4, 0.6, 0.8])
    def test_a_body_in_which_one_byte_was_changed_is_forged(self, place: float) -> None:
        for request in self._genuine():
            at = int(len(request.body) * place)
            # A digit or letter becomes another one: what does not count, such as a blank, is left alone.
            while at < len(request.body) and not request.body[at : at + 1].isalnum():
                at += 1
            other = b"0" if request.body[at : at + 1] != b"0" else b"1"
            changed = request.body[:at] + other + request.body[at + 1 :]
            heard = self._hear(replace(request, body=changed))
            assert isinstance(heard, Forged) or heard == self._hear(request), "an unsigned part may differ"
            assert isinstance(heard, Forged) or not self.stand.signs_bodies

    @declared(notices=True)
    def test_without_its_signature_a_notice_is_forged(self) -> None:
        for request in self._genuine():
            for bare in self.stand.forge(request):
                assert isinstance(self._hear(bare), Forged)

    @declared(notices=True)
    def test_a_notice_signed_with_another_key_is_forged(self) -> None:
        requests = self.stand.signed_with_another_key(self.paid())
        assert requests
        for request in requests:
            assert isinstance(self._hear(request), Forged)

    @declared(notices=True)
    @pytest.mark.parametrize("hours", [-24, 24])
    def test_an_old_notice_and_one_from_the_future_are_forged_where_the_time_is_signed(
        self, hours: int
    ) -> None:
        if not self.stand.signs_time:
            pytest.skip("this provider signs no time; the store of notices is the protection")
        for request in self._genuine():
            assert isinstance(self._hear(request, hours=hours), Forged)

    @declared(notices=True)
    @pytest.mark.parametrize("body", _BODIES.values(), ids=_BODIES)
    def test_whatever_is_posted_breaks_nothing_and_is_no_notice(self, body: bytes) -> None:
        headers = self._genuine()[0].headers
        for sent in ({}, headers, dict.fromkeys(headers, "x")):
            request = RawRequest(method="POST", path="/webhooks/town/x", headers=sent, body=body)
            heard = self._hear(request)
            assert isinstance(heard, Forged) or list(heard) == []

    @declared(notices=True)
    def test_a_genuine_notice_of_a_kind_that_is_not_needed_is_an_empty_list(self) -> None:
        requests = self.stand.foreign_notices(self.paid())
        assert requests
        for request in requests:
            assert self._list(request) == []

    @declared(notices=True)
    def test_nothing_of_a_payer_is_in_a_notice(self) -> None:
        for request in self._genuine():
            told = repr(self._list(request))
            assert not [text for text in self.stand.payer if text in told]

    def _list(self, request: RawRequest) -> list[Notice]:
        heard = self._hear(request)
        assert not isinstance(heard, Forged), heard.reason
        return list(heard)
