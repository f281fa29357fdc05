"""The causes that the program itself writes into a case; what a remote says stays in its own words."""

from __future__ import annotations

from ils_payment.web.words import N_

CAUSES = frozenset(
    {
        N_("a part of it was booked by hand, for no fee of this payment"),
        N_("another amount was charged"),
        N_("another credit was made at the same time"),
        N_("it may have been sent before the ledger was restored"),
        N_("it stayed unclear after repetitions"),
        N_("it was confirmed, but its marker is not there"),
        N_("its credit was in question"),
        N_("less is owed than the credits explain"),
        N_("no result was recorded"),
        N_("not all of the credit was used for fees"),
        N_("not sent in time"),
        N_("nothing proves that an absent marker would be seen"),
        N_("nothing proves that the debit is absent"),
        N_("our credit is not there exactly once"),
        N_("the balance is below zero"),
        N_("the credit is in the library system after all"),
        N_("the debit is not there exactly once"),
        N_("the fees are more open than they should be"),
        N_("the library system cannot be told"),
        N_("the library system is another one now"),
        N_("the library system renews no cards"),
        N_("the marker cannot be read back"),
        N_("the patron was erased"),
        N_("the provider cannot give money back"),
        N_("the provider could not give the money back"),
        N_("the provider gave back another amount"),
        N_("the restored ledger may have forgotten a booking, and no marker can be looked for"),
    }
)
