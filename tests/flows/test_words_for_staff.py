"""Mails to staff: the library's language, a sentence for every kind of case, and nothing personal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import ils_payment
from ils_payment.flows import case_words, show, tell


@pytest.mark.parametrize("language", ["de", "en"])
def test_every_kind_of_case_says_what_happened_and_what_to_do(language):
    words = case_words.words(language)["cases"]
    assert all(len(what) > 20 and len(to_do) > 20 for what, to_do in words.values())


def _kinds():
    """Every kind of case that the program opens, as far as it stands there as a text."""
    for path in Path(ils_payment.__file__).parent.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        held = re.findall(
            r"(?:hold_late\(\s*unit,\s*[\w.]+,|\b_?hold\(\s*work,|work\.differs\()(.+?),", text, re.DOTALL
        )
        for told in [*held, *re.findall(r"\bcase=([^,)]+)", text)]:
            yield from re.findall(r'"([a-z_]+)"', told)


def test_every_kind_of_case_that_the_program_opens_has_words():
    kinds = set(_kinds())
    assert {"refund_stuck", "unclear", "not_renewed", "broken_rule", "card_shorter"} <= kinds
    assert kinds - set(case_words.words("en")["cases"]) == set()


def test_both_languages_have_the_same_words():
    german, english = case_words.words("de"), case_words.words("en")
    assert set(german) == set(english)
    assert set(german["cases"]) == set(english["cases"])


def test_a_kind_of_case_that_nobody_knows_is_an_unexpected_one():
    assert case_words.of_kind("of_tomorrow", "de") == case_words.words("de")["cases"]["unexpected"]


def test_a_german_library_reads_german_amounts_and_the_command_that_tells_whose_it_is(town):
    payment_id = town.started(only=1)
    town.stripe.pay(town.session_of(payment_id))
    town.koha.pay_at_desk(town.koha.patron_ids["erika"], 2, 450)
    town.deliver_webhooks()
    town.run()
    (case,) = show.case_list(town.house)
    tell.alarms(town.house)
    tell.send_mails(town.house)
    ((recipient, subject, body),) = town.world.mails
    assert recipient == "team@lindental.example"
    assert (
        subject
        == f"[Stadtbücherei Lindental] Zahlung braucht eine Entscheidung: {town.view(payment_id).number}"
    )
    assert "4,50\xa0€" in body
    assert "oft an der Theke" in body
    assert f"ils-payment cases show {case.case_id}" in body
    where = show.whereabouts(town.house, payment_id)
    assert where.patron == town.erika
    assert where.patron not in body.split()
    assert where.fees == ("2",)
