"""The catalogue of faults: one row for each switch, with the reason where one does not fit here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Switch:
    """One fault; ``absent`` says why the simulator cannot turn it (empty: it can)."""

    name: str
    group: str
    what: str
    absent: str = ""


_ONE_FILE = "SQLite is one file on one host; the real processes on PostgreSQL are killed elsewhere"

SWITCHES = (
    Switch("kill_before_commit", "process", "a worker dies before a commit"),
    Switch("kill_after_commit", "process", "a worker dies after a commit, before anybody hears of it"),
    Switch("kill_after_call", "process", "a worker dies between an outside call and its record"),
    Switch("kill_in_migration", "process", "a worker dies in a migration", absent="no migration runs here"),
    Switch("restart_in_work", "process", "the whole program is started anew while it works"),
    Switch("commit_lost_before", "database", "the connection breaks before the commit"),
    Switch("commit_lost_after", "database", "the connection breaks after the commit: nobody knows"),
    Switch("serialisation_failure", "database", "the database refuses an interleaving", absent=_ONE_FILE),
    Switch("lock_timeout", "database", "the database stays locked"),
    Switch("lagging_copy", "database", "a failover loses the newest commits", absent=_ONE_FILE),
    Switch("disk_full", "database", "nothing more can be written"),
    Switch("read_only", "database", "the database has become read-only"),
    Switch("webhook_duplicated", "provider", "a webhook comes three times"),
    Switch("webhook_reordered", "provider", "webhooks come in the wrong order"),
    Switch("webhook_late", "provider", "a webhook comes days late"),
    Switch("webhook_never", "provider", "a webhook never comes"),
    Switch("webhook_forged", "provider", "somebody else sends a webhook"),
    Switch("webhook_former_secret", "provider", "a webhook is signed with a secret of the past"),
    Switch("webhook_unknown_payment", "provider", "a webhook is about a payment that is not ours"),
    Switch("webhook_mangled", "provider", "a webhook is cut off or far too large"),
    Switch("start_answer_lost", "provider", "the session is made, the answer never comes"),
    Switch("paid_wrong_amount", "provider", "another amount is paid than was asked for"),
    Switch("paid_wrong_currency", "provider", "another currency is paid than was asked for"),
    Switch("paid_after_end", "provider", "money comes for a session that is over"),
    Switch("reference_altered", "provider", "a paid session carries another payment's reference"),
    Switch("mode_altered", "provider", "a paid session is in the other mode"),
    Switch("provider_down", "provider", "the provider cannot be reached"),
    Switch("provider_error", "provider", "the provider answers 500, or drops the request"),
    Switch("refund_full", "after pay", "everything goes back to the payer"),
    Switch("refund_partial", "after pay", "a part goes back to the payer"),
    Switch("chargeback", "after pay", "the payer's bank takes the money back"),
    Switch("chargeback_won", "after pay", "and has to give it back"),
    Switch("payout_differs", "books", "a payout is not the sum of its entries"),
    Switch("exports_at_once", "books", "two processes export the same closed days at the same time"),
    Switch("sealed", "books", "changes are sealed while everybody works"),
    Switch("backup_restored", "books", "the ledger is put back from a backup of an hour or a day ago"),
    Switch("clerk_decides", "staff", "a clerk decides an open case"),
    Switch("clerk_stale", "staff", "a clerk decides a case that somebody else has changed meanwhile"),
    Switch("clerks_at_once", "staff", "two clerks decide the same case at the same time"),
    Switch("refund_asked", "staff", "a clerk asks for a refund of a payment that needs no decision"),
    Switch("refund_approved", "staff", "the treasurer approves it"),
    Switch("refund_same_person", "staff", "who asked for a refund tries to approve it"),
    Switch("refund_withdrawn", "staff", "the treasurer does not approve it"),
    Switch("refund_both_at_once", "staff", "it is approved and withdrawn at the same time"),
    Switch("refund_answer_lost", "refund", "the provider gives money back, the answer never comes"),
    Switch("refund_keys_forgotten", "refund", "and the provider is away until it has forgotten the key"),
    Switch("refund_pending_fails", "refund", "a refund is on its way, and fails days later"),
    Switch("refund_fails_late", "refund", "a refund that had succeeded comes back"),
    Switch("refund_beside_ours", "refund", "somebody refunds at the provider while our refund is on its way"),
    Switch("chargeback_beside_ours", "refund", "a chargeback comes while our refund is on its way"),
    Switch("charge_answer_lost", "refund", "the counter-debit is booked, the answer never comes"),
    Switch("charge_not_applied", "refund", "the counter-debit is lost, and so is its answer"),
    Switch("charge_applied_late", "refund", "the counter-debit is booked minutes after its time-out"),
    Switch("ils_down_minutes", "library system", "it cannot be reached for minutes"),
    Switch("ils_down_days", "library system", "it cannot be reached for days"),
    Switch("ils_lost_not_applied", "library system", "no answer to a settle call that did nothing"),
    Switch("ils_lost_applied", "library system", "no answer to a settle call that was booked"),
    Switch("ils_applied_late", "library system", "a settle call is booked minutes after its time-out"),
    Switch("ils_applied_in_part", "library system", "a credit is stored and used for some fees only"),
    Switch("ils_applied_twice", "library system", "its proxy sends one settle call twice"),
    Switch("ils_error_after", "library system", "it answers 500 to what it has booked"),
    Switch("ils_deadlock", "library system", "its database stores a credit and never applies it"),
    Switch("ils_answer_garbled", "library system", "its answer to a booked credit cannot be read"),
    Switch("ils_stale_read", "library system", "it answers a question from a copy of the past"),
    Switch("ils_schema_changed", "library system", "its answers have another form"),
    Switch("fee_grown", "world", "a fee grows while it is paid"),
    Switch("fee_paid_at_desk", "world", "a fee is paid at the desk while it is paid online"),
    Switch("fee_waived", "world", "a fee is waived while it is paid"),
    Switch("credit_appears", "world", "a credit from elsewhere appears in the account"),
    Switch("patron_gone", "world", "the patron is deleted, or gets another card"),
    Switch("card_sold", "card", "a patron renews the card"),
    Switch("card_with_fees", "card", "card and fees are paid in one go"),
    Switch("card_free", "card", "renewing the card costs nothing"),
    Switch("card_two_tabs", "card", "the card is renewed in two tabs at the same time"),
    Switch("card_by_another", "card", "somebody else renews the same card meanwhile"),
    Switch("card_desk_renews", "card", "the desk renews the card meanwhile"),
    Switch("card_desk_types", "card", "the desk types another expiry meanwhile"),
    Switch("card_other_category", "card", "the patron gets another category meanwhile"),
    Switch("card_rights_away", "card", "the program may not change patrons for hours, or for days"),
    Switch("card_lost_not_applied", "card", "no answer to a new expiry that was not written"),
    Switch("card_lost_applied", "card", "no answer to a new expiry that was written"),
    Switch("card_applied_late", "card", "a new expiry is written minutes after its time-out"),
    Switch("card_error_after", "card", "it answers by an error to an expiry that it has written"),
    Switch("card_answer_garbled", "card", "its answer to a written expiry cannot be read"),
    Switch("card_debit_lost", "card", "a card's debit is booked, the answer never comes"),
    Switch("card_debit_not_applied", "card", "a card's debit is lost, and so is its answer"),
    Switch("card_debit_late", "card", "a card's debit is booked minutes after its time-out"),
    Switch("card_debit_error", "card", "it answers by an error to a card's debit that it has booked"),
    Switch("other_block", "eLending", "a block for another reason stays"),
    Switch("elending_fails", "eLending", "the platform does not answer, fails or stays shut"),
    Switch("fee_paid_twice", "meeting", "the desk takes cash on an old page for a fee just settled"),
    Switch("unclear_twice", "meeting", "a call is lost, and its repetition is booked minutes late"),
    Switch("decided_while_unclear", "meeting", "a refund is decided while a call may still be booked"),
    Switch("mail_down", "world", "the mail server is away"),
    Switch("double_click", "user", "the confirm button is clicked twice"),
    Switch("two_tabs", "user", "the same fees are paid in two tabs"),
    Switch("two_devices", "user", "the same fees are paid by two methods on two devices"),
    Switch("back_after_days", "user", "the payer comes back to an old page after days"),
    Switch("clock_step", "time", "the clock of the host jumps"),
    Switch("clock_skew", "time", "our clock and the provider's differ by more than a webhook may be old"),
    Switch("dst_change", "time", "a change of daylight saving time lies in the schedule"),
    Switch("year_end", "time", "a year ends in the schedule"),
    Switch("stall", "time", "a worker stands still for minutes at any point"),
)

NAMES = {switch.name for switch in SWITCHES if not switch.absent}

AFTERWARDS = {switch.name for switch in SWITCHES if switch.group in {"books", "staff", "refund"}}
"""What happens after the happy journey: drawn by dice of their own."""
CARD = {switch.name for switch in SWITCHES if switch.group == "card"}
"""What happens where cards are renewed, in some of the seeds: drawn by dice of their own, too."""
PLATFORM = {switch.name for switch in SWITCHES if switch.group == "eLending"}
"""What happens where an eLending platform is asked, in some of the seeds: drawn by dice of their own, too."""
MEETING = {switch.name for switch in SWITCHES if switch.group == "meeting"}
"""What dice bring together too seldom, made to meet in some of the seeds: drawn by dice of their own, too."""
REFUND_FAULTS = {switch.name for switch in SWITCHES if switch.group == "refund"}
