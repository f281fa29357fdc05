"""The words for what happened to a payment, for the time line and the journal; unknown codes stay codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment.web.staff.causes import CAUSES
from ils_payment.web.words import N_

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ils_payment.web.language import Tongue

STEPS: Mapping[str, str] = {
    "created": N_("The patron confirmed the payment"),
    "started": N_("The payment page of the provider was opened"),
    "start_unclear": N_("Whether the provider opened a payment page is not known yet"),
    "start_refused": N_("The provider refused the payment"),
    "start_absent": N_("The provider has no such payment"),
    "redirect_refused": N_("The provider named an address that is not its own"),
    "told": N_("A notice of the provider was heard"),
    "pending": N_("The provider says: the bank has not confirmed yet"),
    "paid_right": N_("The provider says: paid"),
    "paid_wrong": N_("The provider says: paid, but not as it was asked for"),
    "void_final": N_("The provider says: this can never be paid any more"),
    "fees_stand": N_("The fees stand in the library system as they were confirmed"),
    "fees_differ": N_("The fees in the library system are not as they were confirmed"),
    "call_applied": N_("The library system answered: booked"),
    "call_not_applied": N_("The library system answered: not booked"),
    "call_unclear": N_("What the library system did is not clear"),
    "applied": N_("Booked in the library system, and looked at afterwards"),
    "marker_found": N_("The booking was found in the library system"),
    "not_applied": N_("The library system did not book"),
    "unclear": N_("Nobody can tell yet whether the library system has booked"),
    "read_back": N_("After the booking the account did not look as it should"),
    "marker_wrong": N_("A booking with this number is not right"),
    "late_marker_wrong": N_("A second booking of this payment was found"),
    "late_charge_differs": N_("The fee of the card was charged after this payment had ended"),
    "receipt_queued": N_("A receipt was asked for by e-mail"),
    "elending_answer": N_("It was found out what works again for the patron"),
    "patron_erased": N_("The patron's data were erased"),
    "patron_elsewhere": N_("The library system is another one now and does not know this patron"),
    "reversed": N_("Money went back at the provider"),
    "reversal_posted": N_("Money that went back at the provider was written into the ledger"),
    "came_back": N_("Money that was given back has come back"),
    "treasury_pays": N_("The treasury has to give the money back"),
    "refund_wanted": N_("A refund was asked for before the booking"),
    "refund_asked": N_("A refund was asked for"),
    "refund_approved": N_("A refund was approved"),
    "refund_withdrawn": N_("A refund was not approved, or taken back"),
    "refund_try": N_("The provider was asked to give the money back"),
    "refund_pending": N_("The provider is giving the money back"),
    "refunded": N_("The provider has given the money back"),
    "refund_stuck": N_("A refund does not come to its end"),
    "refund_failed": N_("The money could not be given back"),
    "charge_try": N_("The library system was asked to owe the fee again"),
    "charged": N_("The fee is owed again in the library system"),
    "charge_by_hand": N_("The fee has to be written into the library system by hand"),
    "waive_by_hand": N_("The fee has to be waived in the library system by hand"),
    "renewal_sold": N_("A card renewal is part of it"),
    "renew_try": N_("The library system was asked to renew the card"),
    "renew_renewed": N_("The library system answered: renewed"),
    "renew_not_applied": N_("The library system answered: not renewed"),
    "renew_unclear": N_("Whether the card was renewed is not clear"),
    "renewed": N_("The card is renewed, and was looked at afterwards"),
    "renewed_still": N_("The card was looked at once more: it is as it was sold"),
    "renewed_patron_gone": N_("The patron is gone from the library system; nobody can look at the card"),
    "renewed_elsewhere": N_("The card was changed by somebody else"),
    "card_shorter": N_("The card ends earlier than was sold"),
    "not_renewed": N_("The library system does not renew the card"),
    "renewal_unclear": N_("Nobody can tell whether the card is renewed"),
    "renewal_on_top": N_("The card is extended from what it says now"),
    "renewal_settled": N_("The renewal is at its end"),
    "renewal_unbooked": N_("Fee and payment of the renewal have to be booked by hand"),
    "settle_again": N_("Decided: settle again"),
    "booked_by_hand": N_("Decided: was booked by hand"),
    "refunded_outside": N_("Decided: refunded in cash or by the treasury"),
    "no_action": N_("Decided: no action is needed"),
    "reconciled": N_("The comparison found a difference"),
    "broken_rule": N_("Something happened that should not be possible"),
    "unexpected": N_("Provider and library system say different things"),
}
"""What stands in a payment's chain."""

FACTS: Mapping[str, str] = {
    "evidence": N_("The provider's answer"),
    "captured": N_("Taken"),
    "cents": N_("Amount"),
    "beyond": N_("More than was here"),
    "promised": N_("Promised as a refund that nobody has approved yet"),
    "balance": N_("Balance of the account"),
    "reason": N_("Cause"),
    "wrong": N_("What is wrong"),
    "reference": N_("Reference"),
    "marker": N_("Number"),
    "earlier": N_("Earlier"),
    "other": N_("Other payment"),
    "credit": N_("Booking in the library system"),
    "charge": N_("Claim in the library system"),
    "session": N_("At the provider"),
    "at_provider": N_("At the provider"),
    "found": N_("Found"),
    "meaning": N_("Meaning"),
    "try": N_("Try"),
    "live": N_("Real money"),
    "until": N_("Sold until"),
    "base": N_("Was valid until"),
    "valid_until": N_("Valid until"),
    "tariff": N_("Tariff of"),
}
"""Facts that a person can use, by their names in the chain; the others are for machines."""
PRIVATE = frozenset({"balance", "reference", "reason", "found", "base", "until", "valid_until"})
"""What account and card of the patron said, and what a clerk or a remote put into words of its own."""
AMOUNTS = frozenset({"captured", "cents", "beyond", "promised", "balance"})

JOURNAL_FACTS: Mapping[str, str] = {
    **FACTS,
    "case": N_("Case"),
    "payment": N_("Payment"),
    "refund": N_("Refund"),
    "staff": N_("Account"),
    "sides": N_("Sides that were compared"),
    "not_comparable": N_("Sides that no program can compare"),
    "role": N_("Role"),
    "libraries": N_("Libraries"),
    "way": N_("Way"),
    "left": N_("Codes left"),
    "since": N_("Compared from, or to be compared from"),
    "until": N_("Compared until"),
    "covered": N_("Compared without a gap until"),
    "written": N_("Last entry of the backup"),
    "payouts_since": N_("Payouts asked for from"),
    "found": N_("Found"),
}
"""Facts of the journal."""
WAYS: Mapping[str, str] = {"password": N_("password and code"), "oidc": N_("identity provider")}

DONE: Mapping[str, str] = {
    "staff_added": N_("Account made"),
    "staff_changed": N_("Account changed"),
    "staff_reset": N_("Account reset"),
    "staff_disabled": N_("Account disabled"),
    "staff_enrolled": N_("Account set up"),
    "staff_signed_in": N_("Signed in"),
    "staff_signed_out": N_("Signed out"),
    "staff_sign_in_failed": N_("Sign-in failed"),
    "staff_confirm_failed": N_("Wrong code at a refund"),
    "staff_recovery_code_used": N_("Recovery code used"),
    "case_viewed": N_("Looked at a case"),
    "payment_viewed": N_("Looked at a payment"),
    "card_searched": N_("Searched by card number"),
    "decided_settle_again": N_("Decided: settle again"),
    "decided_booked_by_hand": N_("Decided: was booked by hand"),
    "decided_refunded_outside": N_("Decided: refunded in cash or by the treasury"),
    "decided_no_action": N_("Decided: no action is needed"),
    "refund_asked": N_("Asked for a refund"),
    "refund_approved": N_("Approved a refund"),
    "refund_withdrawn": N_("Did not approve a refund, or took it back"),
    "reconciled": N_("Compared provider, ledger and library system"),
    "reconcile_incomplete": N_("Compared, but something could not be asked"),
    "restored_ledger_compared": N_("The restored ledger was compared"),
    "export": N_("Exported days for the treasury"),
    "export_again": N_("Handed out an export once more"),
    "seal": N_("Sealed what changed"),
    "backup": N_("Backed up the ledger"),
    "restore": N_("Restored the ledger from a backup"),
    "upgrade": N_("Upgraded the database"),
    "pause": N_("Accepted no new payments any more"),
    "pause_until_reconciled": N_("Stopped writing outside until a comparison"),
    "resume": N_("Accepted new payments again"),
    "subject_export": N_("Gave out what is stored about a person"),
    "subject_erase": N_("Erased what is stored about a person"),
    "retention": N_("Erased what was kept long enough"),
    "reminders": N_("Reminded patrons whose cards end soon"),
}
"""What stands in the journal."""

STATES: Mapping[str, str] = {
    "created": N_("being prepared"),
    "open": N_("open at the provider"),
    "pending": N_("the bank confirms"),
    "void": N_("not paid"),
    "paid": N_("paid, not booked yet"),
    "settling": N_("paid, is being booked"),
    "unknown": N_("paid, booking unclear"),
    "settled": N_("paid and booked"),
    "resolved": N_("closed by hand"),
}

REFUNDS: Mapping[str, str] = {
    "asked": N_("waits for a second person"),
    "due": N_("is being sent"),
    "tried": N_("sent, outcome unknown"),
    "pending": N_("on its way"),
    "done": N_("given back"),
    "failed": N_("failed"),
    "withdrawn": N_("not approved"),
    "external": N_("made at the provider"),
}

CHOICES: Mapping[str, tuple[str, str]] = {
    "settle_again": (
        N_("Settle again"),
        N_("The program books the payment in the library system once more, after it has looked there."),
    ),
    "booked_by_hand": (
        N_("It was booked by hand"),
        N_("You have settled in the library system yourself what this case is about."),
    ),
    "refund": (
        N_("Refund"),
        N_("The provider gives the money back to the card or account that it came from."),
    ),
    "refunded_outside": (
        N_("Refunded in cash or by the treasury"),
        N_("The treasury has paid the patron, in cash or by a voucher; not the provider."),
    ),
    "no_action": (N_("No action is needed"), N_("You have looked at it, and everything is as it should be.")),
}

DECISIONS: Mapping[str, str] = {code: name for code, (name, _) in CHOICES.items()}
"""What was decided, in a list."""

MEANINGS: Mapping[str, tuple[str, str]] = {
    "fee_stays": (N_("The fee stays"), N_("The patron owes it again.")),
    "fee_dropped": (N_("The fee is dropped"), N_("The patron owes nothing.")),
    "double_payment": (N_("It was paid twice"), N_("The other payment counts; the patron owes nothing.")),
}

ROLES: Mapping[str, str] = {
    "clerk": N_("Clerk"),
    "treasurer": N_("Treasurer"),
    "auditor": N_("Auditor"),
    "technician": N_("Technician"),
}

PROBLEMS: Mapping[str, str] = {
    "conflict": N_(
        "Somebody else has decided this in the meantime, or a case came. Your decision was not carried out."
    ),
    "too_early": N_(
        "The library system may still carry out what it was asked to. Please try again later; most often a "
        "quarter of an hour is enough."
    ),
    "busy": N_("The program is working on this payment just now. Please try again in a moment."),
    "not_possible": N_("This decision does not fit the payment as it stands now."),
    "no_reason": N_("Please write why you decide so."),
    "no_reference": N_("Please write the number of the booking or of the voucher."),
    "no_meaning": N_("Please say what becomes of the fee."),
    "no_debt": N_(
        "The fee of this card is not in the library system, so it cannot stay. Please choose that it is "
        "dropped; if it is owed all the same, charge it there by hand."
    ),
    "no_choice": N_("Please choose what is to be given back."),
    "nothing_left": N_("Nothing more can be given back of this."),
    "provider_cannot": N_(
        "This provider cannot give back, or only the whole payment. Please order the treasury to pay it "
        "out, and close the case as refunded by the treasury with the number of its voucher."
    ),
    "same_person": N_("You have asked for this refund yourself. Another person has to approve it."),
    "code": N_("Please type a new code of your authenticator: money is to be sent away."),
    "fresh": N_("Please sign in once more: money is to be sent away."),
}
"""Why a decision was not carried out: the codes of ``decision.CODES``, and what the pages ask themselves."""

NOTES: Mapping[str, str] = {
    "done": N_("Your decision was recorded and is being carried out."),
    "treasury": N_(
        "This provider gives nothing back. Please order the treasury to pay it out; a case was opened, and "
        "is closed with the number of the voucher."
    ),
    "second_person": N_("The refund is reserved. It is sent as soon as a second person approves it."),
    "approved": N_("The refund was approved and is being sent."),
    "withdrawn": N_("The refund was not approved. The money can be decided about again."),
}


def said(table: Mapping[str, str], code: str, tongue: Tongue) -> str:
    """Return the words for *code*; one that is not known here is shown as it is."""
    known = table.get(code)
    return tongue.gettext(known) if known else code.replace("_", " ")


def told(
    facts: Mapping[str, object], tongue: Tongue, currency: str, *, private: bool
) -> list[tuple[str, str]]:
    """Return the facts of a step that a person can use, each with its name.

    :data:`PRIVATE` ones are shown to those only who may see *private* data.
    """
    found = []
    for name, label in FACTS.items():
        value = facts.get(name)
        if value in {None, "", 0} or (name in PRIVATE and not private):
            continue
        if isinstance(value, bool):
            text = tongue.gettext(N_("yes")) if value else tongue.gettext(N_("no"))
        elif name in AMOUNTS and isinstance(value, int):
            text = tongue.money(value, str(facts.get("currency") or currency))
        elif name == "meaning":
            text = tongue.gettext(MEANINGS[str(value)][0]) if str(value) in MEANINGS else str(value)
        else:
            text = tongue.gettext(value) if value in CAUSES else str(value)
        found.append((tongue.gettext(label), text))
    return found
