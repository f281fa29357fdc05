"""After a payment: blocks are lifted where that is right, platforms are asked, and nothing holds money up."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ils_payment.errors import RemoteAbsentError, RemoteUnavailableError
from ils_payment.flows import elending_words, unblock
from ils_payment.flows.hands import in_hands
from ils_payment.model import (
    HINDRANCE_KINDS,
    Answer,
    Block,
    ELendingCapabilities,
    Freshness,
    Hindrance,
    Lifted,
    NotApplied,
    PatronRef,
    State,
    Unclear,
    Verdict,
)
from ils_payment.store import chain, elending
from ils_payment.store.schema import metadata


class Platform:
    """A platform that says what the test wants, or fails."""

    def __init__(self, **can: Any) -> None:
        self.can = ELendingCapabilities(**{"name": "Onleihe", "freshness": Freshness.LIVE, **can})
        self.questions: list[Any] = []
        self.says: Any = Verdict.OPEN
        self.asked = True
        self.hindrances: tuple[Hindrance, ...] = ()
        self.code = "3"

    def capabilities(self):
        return self.can

    def ask(self, question):
        self.questions.append(question)
        if isinstance(self.says, Exception):
            raise self.says
        return Answer(
            verdict=self.says,
            asked=self.asked,
            as_of=question.account.read_at,
            code=self.code,
            hindrances=self.hindrances,
        )


class LiftingSystem:
    """The town's Koha, with blocks that the test puts and that can be lifted."""

    def __init__(self, inner):
        self._inner = inner
        self.blocks: list[Block] = []
        self.lifted: list[Block] = []
        self.outcome: Any = Lifted()
        self.down: Exception | None = None

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def capabilities(self):
        return replace(self._inner.capabilities(), can_lift=True)

    def card(self, patron):
        if self.down:
            raise self.down
        return replace(self._inner.card(patron), blocks=tuple(self.blocks))

    def lift_block(self, patron, block):
        self.lifted.append(block)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        if isinstance(self.outcome, Lifted):
            self.blocks.remove(block)
        return self.outcome


class Scene:
    """A town whose desk has a platform and, if the test wants, a library system that lifts."""

    def __init__(self, town, *, lifting=False):
        self.town, self.house = town, town.house
        self.platform = Platform()
        self.system = LiftingSystem(town.desk.system) if lifting else town.desk.system
        self.desk = replace(town.desk, system=self.system, elending={"onleihe": self.platform})
        # Settled before anybody can be asked: following up is what each test does by itself.
        self.payment = town.started()
        town.stripe.pay(town.session_of(self.payment))
        town.deliver_webhooks()
        town.run()
        assert town.view(self.payment).state is State.SETTLED
        self.house.libraries = {"lindental": self.desk}
        for fee in town.desk.account(town.erika).fees:
            # What cannot be paid online was waived at the desk.
            town.koha.waive(int(town.erika), int(fee.ref), fee.cents)

    def follow(self):
        """Follow the payment up as the runner does; return when to come back."""
        found: list[Any] = []

        def work(payment):
            found.append(unblock.follow(self.house, self.desk, payment))

        assert in_hands(self.house, self.payment, work)
        assert len(found) == 1, "following a payment up raised"
        return found[0]

    def later(self, at):
        self.town.world.pass_time(seconds=(at - self.town.world.now()).total_seconds())

    def kept(self):
        with self.house.store.read() as unit:
            return elending.of_payment(unit, self.payment)

    def trail(self):
        with self.house.store.read() as unit:
            return [row for row in chain.read_audit(unit, self.payment) if row["what"] == "elending_answer"]

    def view(self):
        [view] = unblock.answers(self.house, self.payment)
        return view


@pytest.fixture
def scene(town):
    return Scene(town)


@pytest.fixture
def lifting(town):
    return Scene(town, lifting=True)


# --- asking ------------------------------------------------------------------------------------


def test_an_answer_is_kept_once_with_codes_only_and_never_asked_for_again(each_town):
    scene = Scene(each_town)
    assert scene.view().looking
    assert scene.follow() is None
    assert scene.follow() is None
    [question] = scene.platform.questions
    assert question.pin is None
    assert question.account.fees == ()
    kept = scene.kept()["onleihe"]
    assert (kept.verdict, kept.asked, kept.code, kept.tries) == (Verdict.OPEN, True, "3", 1)
    [row] = scene.trail()
    assert json.loads(row["facts"]) | {"fence": 0} == {
        "platform": "onleihe",
        "verdict": "open",
        "asked": True,
        "code": "3",
        "hindrances": [],
        "fence": 0,
    }


def test_a_platform_that_was_not_truly_asked_should_work_and_is_not_called_open(scene):
    scene.platform.asked = False
    scene.follow()
    assert scene.view().verdict is Verdict.OPEN
    assert not scene.view().asked


def test_a_platform_that_follows_late_says_when_at_the_latest(scene):
    scene.platform.asked = False
    scene.platform.can = replace(
        scene.platform.can, freshness=Freshness.DELAYED, delay=timedelta(seconds=3601)
    )
    scene.follow()
    assert scene.view().delay == timedelta(seconds=3601)
    assert scene.view().freshness is Freshness.DELAYED


def test_what_still_blocks_is_told_with_who_lifts_it(each_town):
    scene = Scene(each_town)
    scene.platform.says, scene.platform.code = Verdict.BLOCKED, "-3"
    scene.platform.hindrances = (
        Hindrance(kind="expired", lifted_by="renewal"),
        Hindrance(kind="restriction", lifted_by="library", text={"de": "Bitte kommen Sie vorbei."}),
    )
    scene.follow()
    view = scene.view()
    assert view.verdict is Verdict.BLOCKED
    assert [(one.kind, one.lifted_by) for one in view.hindrances] == [
        ("expired", "renewal"),
        ("restriction", "library"),
    ]
    first, second = (one.text for one in view.hindrances)
    assert first["en"] == "Your library card has expired."
    assert second == {"de": "Bitte kommen Sie vorbei."}


def test_a_platform_that_is_down_is_asked_again_a_few_times_and_then_nobody_can_tell(scene):
    scene.platform.says = RemoteUnavailableError("The Onleihe does not answer.")
    times = [scene.town.world.now()]
    while (at := scene.follow()) is not None:
        assert at > times[-1]
        assert scene.view().looking
        # Called too early, it is not asked.
        before = len(scene.platform.questions)
        assert scene.follow() == at
        assert len(scene.platform.questions) == before
        scene.later(at)
        times.append(at)
    assert len(scene.platform.questions) == unblock.MOST_TRIES
    assert times[-1] - times[0] < timedelta(hours=1)
    assert scene.view().verdict is Verdict.CANNOT_TELL
    assert len(scene.trail()) == 1
    assert scene.town.view(scene.payment).state is State.SETTLED
    assert not scene.town.view(scene.payment).held


def test_an_answer_after_failures_is_the_one_that_counts(each_town):
    scene = Scene(each_town)
    scene.platform.says = RemoteUnavailableError("The Onleihe does not answer.")
    scene.later(scene.follow())
    scene.platform.says = Verdict.OPEN
    assert scene.follow() is None
    assert scene.kept()["onleihe"].tries == 2
    assert scene.view().verdict is Verdict.OPEN


def test_a_library_system_that_is_down_postpones_the_question(town):
    scene = Scene(town, lifting=True)
    scene.system.down = RemoteUnavailableError("Koha does not answer.")
    at = scene.follow()
    assert at == town.world.now() + unblock.WAITS[0]
    assert scene.platform.questions == []
    scene.system.down = None
    scene.later(at)
    assert scene.follow() is None
    assert len(scene.platform.questions) == 1


def test_a_patron_who_is_gone_is_not_asked_about_again(lifting):
    lifting.system.down = RemoteAbsentError("There is no such patron.")
    assert lifting.follow() is None
    assert lifting.view().verdict is Verdict.CANNOT_TELL
    assert not lifting.view().looking


def test_a_plugin_that_stumbles_holds_no_settled_payment(scene):
    scene.platform.says = KeyError("21234000012345")
    assert scene.follow() is not None
    assert not scene.town.view(scene.payment).held
    assert scene.kept()["onleihe"].verdict is Verdict.CANNOT_TELL


def test_a_platform_that_fails_keeps_no_other_from_being_asked(town):
    scene = Scene(town)
    other = Platform(name="filmfriend")
    scene.desk = replace(scene.desk, elending={"onleihe": scene.platform, "films": other})
    scene.house.libraries = {"lindental": scene.desk}
    scene.platform.says = RemoteUnavailableError("The Onleihe does not answer.")
    at = scene.follow()
    assert at is not None
    scene.later(at)
    assert scene.follow() is not None
    assert (len(scene.platform.questions), len(other.questions)) == (2, 1)
    assert [view.name for view in unblock.answers(scene.house, scene.payment)] == ["Onleihe", "filmfriend"]


def test_words_and_codes_that_nobody_knows_are_not_kept(each_town):
    scene = Scene(each_town)
    scene.platform.says = Verdict.BLOCKED
    scene.platform.code = "Erika Mustermann <erika@example.org>"
    scene.platform.hindrances = (Hindrance(kind="Erika Mustermann", lifted_by="Frau Meier"),)
    scene.follow()
    kept = scene.kept()["onleihe"]
    assert kept.code == ""
    assert kept.hindrances == (Hindrance(kind="other", lifted_by="library"),)
    with scene.house.store.read() as unit:
        stored = str(list(unit.connection.execute(metadata.tables["elending_answers"].select())))
    assert "Erika" not in stored + str(scene.trail())


def test_nobody_is_asked_about_a_patron_whose_data_were_erased(scene):
    with scene.house.store.unit() as unit:
        unit.connection.execute(metadata.tables["private_patrons"].update().values(patron_ref=None))
    assert scene.follow() is None
    assert scene.platform.questions == []


def test_without_platforms_and_without_lifting_nothing_is_read(scene):
    scene.desk = replace(scene.desk, elending={})
    before = len(scene.town.world.requests)
    assert scene.follow() is None
    assert len(scene.town.world.requests) == before


def test_the_answers_of_an_unknown_payment_are_none(scene):
    assert unblock.answers(scene.house, "0" * 26) == ()


# --- lifting -----------------------------------------------------------------------------------


def test_blocks_that_hang_on_fees_or_expiry_are_lifted_when_neither_is_left(lifting):
    lifting.system.blocks = [Block(kind="fees", liftable=True), Block(kind="expired", liftable=True)]
    assert lifting.follow() is None
    assert [block.kind for block in lifting.system.lifted] == ["fees", "expired"]
    # The platform is asked with the card as it is then.
    [question] = lifting.platform.questions
    assert question.card.blocks == ()
    assert lifting.kept()[unblock.SYSTEM].verdict is Verdict.OPEN
    lifting.follow()
    assert len(lifting.system.lifted) == 2


@pytest.mark.parametrize(
    "block",
    [
        Block(kind="fees", liftable=True, manual=True),
        Block(kind="fees", liftable=False),
        Block(kind="restriction", liftable=True),
        Block(kind="lost_card", liftable=True),
        Block(kind="address", liftable=True),
    ],
)
def test_a_manual_block_or_one_that_hangs_on_something_else_is_never_lifted(lifting, block):
    lifting.system.blocks = [block]
    assert lifting.follow() is None
    assert lifting.system.lifted == []
    [left] = lifting.kept()[unblock.SYSTEM].hindrances
    assert left.kind == block.kind


def test_nothing_is_lifted_while_a_fee_is_open(lifting):
    lifting.town.koha.add_fee(int(lifting.town.erika), 150)
    lifting.system.blocks = [Block(kind="fees", liftable=True)]
    lifting.follow()
    assert lifting.system.lifted == []


def test_nothing_is_lifted_while_the_card_is_expired(lifting):
    lifting.system.blocks = [Block(kind="expired", liftable=True)]
    lifting.town.world.pass_time(days=3650)
    lifting.follow()
    assert lifting.system.lifted == []


def test_an_unclear_lifting_is_repeated_before_any_platform_is_asked(lifting):
    lifting.system.blocks = [Block(kind="fees", liftable=True)]
    lifting.system.outcome = Unclear(reason="lost")
    at = lifting.follow()
    assert at is not None
    assert lifting.platform.questions == []
    lifting.system.outcome = Lifted()
    lifting.later(at)
    assert lifting.follow() is None
    assert len(lifting.system.lifted) == 2
    assert lifting.view().verdict is Verdict.OPEN


def test_a_refused_lifting_leaves_the_block_to_the_library(lifting):
    lifting.system.blocks = [Block(kind="fees", liftable=True)]
    lifting.system.outcome = NotApplied(reason="no right")
    assert lifting.follow() is None
    assert lifting.kept()[unblock.SYSTEM].verdict is Verdict.BLOCKED
    assert len(lifting.platform.questions) == 1


def test_a_lifting_that_stumbles_holds_nothing_and_ends_after_a_few_tries(lifting):
    lifting.system.blocks = [Block(kind="fees", liftable=True)]
    lifting.system.outcome = RuntimeError("Erika")
    while (at := lifting.follow()) is not None:
        lifting.later(at)
    assert len(lifting.system.lifted) == unblock.MOST_TRIES
    assert lifting.view().verdict is Verdict.OPEN
    assert not lifting.town.view(lifting.payment).held


# --- asking while the patron looks --------------------------------------------------------------


def test_the_page_asks_with_the_pin_that_was_just_entered_and_keeps_nothing(scene):
    scene.platform.says = Verdict.BLOCKED
    scene.platform.hindrances = (Hindrance(kind="fees", lifted_by="payment"),)
    answer = unblock.ask_now(scene.house, scene.desk, scene.town.erika, "onleihe", "a-pin")
    [question] = scene.platform.questions
    assert question.pin == "a-pin"
    assert "a-pin" not in repr(question)
    assert answer.hindrances[0].text == elending_words.HINDRANCES["fees"]
    assert scene.kept() == {}
    with pytest.raises(LookupError):
        unblock.ask_now(scene.house, scene.desk, PatronRef("1"), "films", "a-pin")


def test_every_kind_has_words_in_both_languages():
    assert set(elending_words.HINDRANCES) == HINDRANCE_KINDS
    for text in elending_words.HINDRANCES.values():
        assert set(text) == {"de", "en"}
