"""Which library systems and providers meet: every one with every other, drawn by the seed."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from ils_payment_adyen.simulator.stand import AdyenStand, SessionsStand
from ils_payment_koha.simulator.stand import KohaStand
from ils_payment_opac_soap.simulator.stand import ArenaStand, MarkerStand, NCIPStand, SymphonyStand
from ils_payment_sip2.simulator.stand import GossipStand, PinStand, SIP2Stand
from ils_payment_sisis.simulator.stand import GatewaySISISStand, SISISStand
from ils_payment_stripe.simulator.stand import StripeStand
from ils_payment_xbezahldienste.simulator.stand import XBezahldiensteStand

if TYPE_CHECKING:
    from ils_payment.testing.stands import LibraryStand, ProviderStand

LIBRARIES: dict[str, tuple[type[LibraryStand], ...]] = {
    "koha": (KohaStand,),
    "opac-soap": (SymphonyStand, MarkerStand, ArenaStand, NCIPStand),
    "sip2": (SIP2Stand, GossipStand, PinStand),
    "sisis": (SISISStand, GatewaySISISStand),
}
PROVIDERS: dict[str, tuple[type[ProviderStand], ...]] = {
    "adyen": (AdyenStand, SessionsStand),
    "stripe": (StripeStand,),
    "xbezahldienste": (XBezahldiensteStand,),
}
PLUGINS = tuple(sorted((*LIBRARIES, *PROVIDERS)))


def pair(plugin: str, seed: int) -> tuple[type[LibraryStand], type[ProviderStand]]:
    """Draw a pair in which *plugin* is one; KeyError when there is no such plugin."""
    dice = Random(f"{seed} the pair")
    if plugin in PROVIDERS:
        library = dice.choice(LIBRARIES[dice.choice(sorted(LIBRARIES))])
        return library, dice.choice(PROVIDERS[plugin])
    return dice.choice(LIBRARIES[plugin]), dice.choice(PROVIDERS[dice.choice(sorted(PROVIDERS))])
