"""Scenarios between the program and the library system: answers that are late, lost, wrong or none."""

from __future__ import annotations

from tests.conftest import KOHA
from tests.faults.failpoints_stage import CREDIT, Stage
from tests.faults.scenarios import scenario


def _paid(s: Stage, patron: str = "jan") -> None:
    s.begin(patron)
    s.pay()


def _until_the_quarantine_is_over(s: Stage) -> None:
    for minutes in (1, 2, 3, 5, 5, 5):
        s.later(minutes=minutes)


@scenario("settled", money=True)
def koha_500_booked(s: Stage) -> None:
    """Koha books the credit and answers with an error."""
    s.koha.fail_next(1, operation=CREDIT, after_effect=True)
    _paid(s)
    s.hear()
    s.later(seconds=10)


@scenario("settled", money=True)
def koha_500_not_booked(s: Stage) -> None:
    """Koha answers with an error and books nothing: the credit is written once more, later."""
    s.koha.fail_next(1, operation=CREDIT)
    _paid(s)
    s.hear()
    _until_the_quarantine_is_over(s)


@scenario("unknown held", proof=False)
def koha_500_not_booked_without_proof(s: Stage) -> None:
    """Nothing proves that an absent marker would be seen, so a person decides."""
    s.koha.fail_next(1, operation=CREDIT)
    _paid(s)
    s.hear()
    _until_the_quarantine_is_over(s)


@scenario("settled")
def koha_504_booked(s: Stage) -> None:
    """The web server before Koha gives up waiting; Koha books."""
    s.koha.fail_next(1, status=504, operation=CREDIT, after_effect=True)
    _paid(s)
    s.hear()
    s.later(seconds=10)


@scenario("settled")
def koha_504_not_booked(s: Stage) -> None:
    """The web server before Koha gives up waiting; Koha never gets to it."""
    s.koha.fail_next(1, status=504, operation=CREDIT)
    _paid(s)
    s.hear()
    _until_the_quarantine_is_over(s)


@scenario("settled", money=True)
def koha_answer_lost(s: Stage) -> None:
    """The connection breaks after Koha has booked."""
    s.koha.lose_answer()
    _paid(s)
    s.hear()
    s.later(seconds=10)


@scenario("settled", money=True)
def koha_books_late(s: Stage) -> None:
    """Koha answers 504 and books ten minutes later."""
    s.koha.apply_late(600)
    _paid(s)
    s.hear()
    _until_the_quarantine_is_over(s)


@scenario("unknown held")
def koha_fails_three_times(s: Stage) -> None:
    """Koha fails at each repetition: after the third call a person looks."""
    s.koha.fail_next(9, operation=CREDIT)
    _paid(s)
    s.hear()
    for _ in range(4):
        _until_the_quarantine_is_over(s)


@scenario("unknown held")
def koha_deadlock(s: Stage) -> None:
    """A deadlock leaves a credit that is used for nothing."""
    s.koha.deadlock_next()
    _paid(s)
    s.hear()
    s.later(seconds=30)


@scenario("settled")
def koha_away_for_minutes(s: Stage) -> None:
    """Koha refuses connections when the money is there, and comes back."""
    _paid(s)
    s.leave(KOHA)
    s.hear()
    s.later(minutes=4)
    s.come_back()
    s.later(minutes=10)


@scenario("settled")
def koha_away_for_days(s: Stage) -> None:
    """Koha is away for three days; staff is told, and the payment is settled all the same."""
    _paid(s)
    s.leave(KOHA)
    s.hear()
    s.later(hours=1)
    s.later(days=1)
    s.later(days=2)
    s.come_back()
    s.later(hours=2)


@scenario("paid held")
def koha_away_for_too_long(s: Stage) -> None:
    """Koha is away for longer than anybody waits: a person decides."""
    _paid(s)
    s.leave(KOHA)
    s.hear()
    for _ in range(3):
        s.later(days=2)


@scenario("settled")
def koha_away_at_the_call(s: Stage) -> None:
    """Koha goes away between reading and calling."""
    _paid(s)
    s.at("koha.settle.before", lambda: s.leave(KOHA))
    s.hear()
    s.come_back()
    s.later(minutes=1)


@scenario("settled")
def koha_database_away(s: Stage) -> None:
    """Koha's web server answers, its database does not."""
    _paid(s)
    s.koha.database_down()
    s.hear()
    s.later(minutes=2)
    s.koha.database_down(down=False)
    s.later(minutes=10)


@scenario("settled")
def koha_away_after_the_call(s: Stage) -> None:
    """Koha books, answers, and is away when the result is read."""
    _paid(s)
    s.at("koha.settle.after", lambda: s.leave(KOHA))
    s.hear()
    s.later(minutes=2)
    s.come_back()
    s.later(minutes=10)


@scenario("settled")
def koha_right_is_missing(s: Stage) -> None:
    """The service user may not book for a while: certainly not applied, tried again."""
    user = next(iter(s.koha.tables.clients.values())).patron_id
    rights = s.koha.tables.patrons[user].rights
    _paid(s)
    s.koha.set_rights(user, ("borrowers", "catalogue"))
    s.hear()
    s.later(minutes=2)
    s.koha.set_rights(user, rights)
    s.later(minutes=10)


@scenario("paid held")
def patron_is_gone(s: Stage) -> None:
    """The patron was deleted in Koha after paying."""
    _paid(s)
    gone = s.koha.tables.patrons.pop(s.koha.patron_ids["jan"])
    s.hear()
    s.later(minutes=10)
    s.koha.tables.patrons[gone.patron_id] = gone


@scenario("settled")
def koha_reads_from_a_copy(s: Stage) -> None:
    """For a minute, reading shows the account as it was before the call."""
    _paid(s)
    s.at("koha.settle.before", lambda: _read_from_a_copy(s))
    s.hear()
    s.later(seconds=10)
    s.come_back()
    s.later(minutes=20)


def _read_from_a_copy(s: Stage) -> None:
    s.world.remotes[KOHA] = _Lagging(s)


class _Lagging:
    """Koha, whose answers to questions are refused while its read copy lags behind."""

    def __init__(self, s: Stage) -> None:
        self.inner = s.town.watched[KOHA]
        self.old: dict[str, object] = {}
        self.stage = s

    def handle(self, request):
        if request.method == "GET":
            # A copy that knows itself to be late says so; one that does not is the scenario below.
            self.stage.koha.fail_next(1, status=503)
        return self.inner.handle(request)

    def truth(self):
        return self.inner.truth()


@scenario("settled", "settled")
def second_payment_waits_for_the_first(s: Stage) -> None:
    """A patron's second payment is paid while the first one's call is unclear."""
    s.koha.fail_next(1, operation=CREDIT, after_effect=True)
    s.begin("erika", only=1)
    s.pay()
    s.hear()
    s.begin("erika", only=1)
    s.pay()
    s.hear()
    s.later(seconds=10)
    s.later(minutes=1)


@scenario("unknown held", "settled")
def second_payment_after_the_first_is_held(s: Stage) -> None:
    """A dead credit holds a patron's first payment; the second one is settled after the quarantine."""
    s.koha.deadlock_next()
    s.begin("erika", only=1)
    s.pay()
    s.hear()
    s.later(seconds=30)
    s.begin("erika", only=1)
    s.pay()
    s.hear()
    _until_the_quarantine_is_over(s)


@scenario("settled")
def worker_sleeps_before_the_call(s: Stage) -> None:
    """A worker sleeps longer than its lease just before the call; another one takes over."""
    _paid(s)
    s.at("settle.before_call", lambda: s.another_worker(125))
    s.hear()
    _until_the_quarantine_is_over(s)


@scenario("settled")
def worker_sleeps_after_the_call(s: Stage) -> None:
    """A worker sleeps longer than its lease just after the call; another one finds the credit."""
    _paid(s)
    s.at("settle.after_call", lambda: s.another_worker(125))
    s.hear()
    s.later(minutes=1)
