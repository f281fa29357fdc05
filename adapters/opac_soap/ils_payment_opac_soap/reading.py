"""Questions about one patron, asked and understood: what the adapter and ``check`` have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment.errors import RemoteRefusedError
from ils_payment.model import Card
from ils_payment_opac_soap import mapping

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ils_payment.model import Account
    from ils_payment.ports import Host
    from ils_payment_opac_soap.client import SOAPClient
    from ils_payment_opac_soap.config import SOAPConfig
    from ils_payment_opac_soap.preset import Operation
    from ils_payment_opac_soap.tree import Tree


def account(client: SOAPClient, config: SOAPConfig, host: Host, known: Mapping[str, str]) -> Account:
    """Read what a patron owes; *known* has ``patron``, and ``card`` and ``pin`` at a sign-in."""
    fees = config.spoken.operations.fees
    if fees is None:
        raise RemoteRefusedError(
            "The preset has no operation that lists fees.",
            mend="Copy the preset and describe the maker's operation; see docs/opac-soap.md.",
        )
    answer = _asked(client, fees, known)
    return mapping.account(answer, config.spoken, host.library.currency, host.now())


def card(client: SOAPClient, config: SOAPConfig, host: Host, known: Mapping[str, str]) -> Card:
    """Read a patron's card, with one question or two; only its number where the preset has none."""
    operations = config.spoken.operations
    read, blocked = (
        _asked(client, one, known) if one is not None else None
        for one in (operations.card, operations.blocks)
    )
    today = host.library.day_of(host.now())
    return mapping.card(known.get("card") or known["patron"], read, blocked, config.spoken, today)


def _asked(client: SOAPClient, operation: Operation, known: Mapping[str, str]) -> Tree:
    answer = client.ask(operation, known)
    mapping.prove_patron(answer, operation, known["patron"], known.get("card", ""))
    return answer
