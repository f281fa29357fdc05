"""What has to be true: each invariant is a class of its own, held after steps, postings and at the end."""

from __future__ import annotations

from tests.faults.invariants.afterwards import AFTERWARDS
from tests.faults.invariants.base import Broken, Invariant
from tests.faults.invariants.books import EachCentInOnePlace, LedgerIsWhole
from tests.faults.invariants.cards import CARDS
from tests.faults.invariants.credits import NoDoubleCredit, NothingOverpaidUnseen, SettledIsCredited
from tests.faults.invariants.guards import GUARDS
from tests.faults.invariants.lending import LendingIsAskedAndTold
from tests.faults.invariants.liveness import EverythingEnds
from tests.faults.invariants.meetings import MEETINGS
from tests.faults.invariants.provider import NothingForgedCounts, ReversalsAreSeen, SettledOnlyWhatWasPaid
from tests.faults.invariants.telling import CasesAreComplete, NothingPersonalGetsOut

INVARIANTS: tuple[type[Invariant], ...] = (
    EachCentInOnePlace,
    NoDoubleCredit,
    SettledIsCredited,
    NothingOverpaidUnseen,
    LedgerIsWhole,
    NothingForgedCounts,
    SettledOnlyWhatWasPaid,
    ReversalsAreSeen,
    EverythingEnds,
    CasesAreComplete,
    NothingPersonalGetsOut,
    *GUARDS,
    *AFTERWARDS,
    *CARDS,
    *MEETINGS,
    LendingIsAskedAndTold,
)

__all__ = ["INVARIANTS", "Broken", "Invariant"]
