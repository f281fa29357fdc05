"""What is refused when a desk is opened: plugins that lack what they declare, methods that nobody offers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment.errors import ConfigurationError, PluginError
from ils_payment.model import ReadSupport, RefundSupport, RenewSupport
from ils_payment.ports import (
    Charging,
    Contacting,
    Evidencing,
    Expiring,
    FindingRefunds,
    Lifting,
    Listing,
    PayingOut,
    Pricing,
    Refunding,
    Renewing,
    Serving,
)

if TYPE_CHECKING:
    from ils_payment.flows.desk import Desk


def check_desk(desk: Desk) -> None:
    """Raise PluginError or ConfigurationError where plugins and configuration do not fit each other."""
    _reading(desk)
    _doors(desk)
    _renewal(desk)
    _methods(desk)
    refuse_without_a_way_in(desk)
    _asked(desk)


def _doors(desk: Desk) -> None:
    """Refuse a plugin that declares what it does not implement."""
    system = desk.system.capabilities()
    declared: list[tuple[str, object, bool, type]] = [
        ("library_system", desk.system, declares, door)
        for declares, door in (
            (system.can_charge, Charging),
            (system.can_renew is not RenewSupport.NO, Renewing),
            (system.can_lift, Lifting),
            (system.lists_expiring, Expiring),
            (system.prices_categories, Pricing),
            (system.shows_contact, Contacting),
            (system.shows_evidence, Evidencing),
        )
    ]
    for name, provider in desk.providers.items():
        can = provider.capabilities()
        where = f"providers.{name}"
        declared += [
            (where, provider, can.refund is not RefundSupport.NONE, Refunding),
            (where, provider, can.refund is not RefundSupport.NONE and can.finds_refunds, FindingRefunds),
            (where, provider, can.listing, Listing),
            (where, provider, can.payouts, PayingOut),
        ]
    declared += [
        (f"elending.{name}", platform, platform.capabilities().inbound, Serving)
        for name, platform in desk.elending.items()
    ]
    for where, plugin, declares, door in declared:
        if declares and not isinstance(plugin, door):
            raise PluginError(
                f"libraries.{desk.key}.{where}: the plugin declares what it has not: {door.__name__}.",
                mend="Tell the author of the plugin; an older or newer version may be right.",
            )


def refuse_without_a_way_in(desk: Desk) -> None:
    """Refuse a library that no patron could come into: one way is off, the other not set up or impossible."""
    if desk.signs_in or desk.hands_over:
        return
    where, can = f"libraries.{desk.key}.arrival", desk.system.capabilities()
    by_pin = "card_and_pin is false" if can.sign_in else "the library system signs nobody in"
    by_token = "no OPAC has a key" if can.handed_over else "no OPAC can name its patrons as it does"
    mends = []
    if can.sign_in:
        mends.append(f"remove card_and_pin = false below [{where}]")
    else:
        mends.append("switch signing in on for the library system, if it can (Koha: sign_in = true)")
    if can.handed_over:
        mends.append(f"add [[{where}.keys]] (docs/handing-over.md)")
    mend = ", or ".join(mends)
    raise ConfigurationError(
        f"{where}: no patron can come in: {by_pin}, and {by_token}.", mend=f"{mend[0].upper()}{mend[1:]}."
    )


def _renewal(desk: Desk) -> None:
    """Refuse contact data that nobody can show, and reminders of what nobody can list or renew here."""
    reminds = bool(desk.settings.reminders.days_before)
    if reminds and desk.expiring is None:
        raise ConfigurationError(
            f"libraries.{desk.key}.reminders: this library system does not list the cards that end soon.",
            mend="Leave the table away; perhaps the library system reminds its patrons itself.",
        )
    if reminds and (desk.tariff is None or desk.renewing is None):
        raise ConfigurationError(
            f"libraries.{desk.key}.reminders: no card can be renewed here, so a mail would lead nowhere.",
            mend="Set tariff, let the library system renew cards (docs/renewal.md), or leave the table away.",
        )
    if desk.settings.renewal.confirm_contact and desk.contacting is None:
        raise ConfigurationError(
            f"libraries.{desk.key}.renewal.confirm_contact: this library system does not show contact data.",
            mend="Leave the key away; patrons renew without this step then.",
        )


def _reading(desk: Desk) -> None:
    """Refuse a provider of which nobody could tell for sure what it took."""
    for name, provider in desk.providers.items():
        can = provider.capabilities()
        if can.read is not ReadSupport.FULL and not (can.notices and can.notices_decide):
            raise PluginError(
                f"libraries.{desk.key}.providers.{name}: this provider cannot be read at any time, and its "
                "notices prove nothing.",
                mend="Nobody could tell for sure what it took; choose another provider.",
            )


def _methods(desk: Desk) -> None:
    """Refuse methods that their provider does not know, or does not take in the library's currency."""
    for place, method in enumerate(desk.settings.methods):
        where = f"libraries.{desk.key}.methods[{place}]"
        provider = desk.providers[method.provider]
        known, currencies = provider.methods(), provider.capabilities().currencies
        if desk.settings.currency not in currencies:
            raise ConfigurationError(
                f"{where}: the provider {method.provider} takes no {desk.settings.currency}.",
                mend=f"It takes: {', '.join(currencies)}.",
            )
        if method.method not in known:
            raise ConfigurationError(
                f"{where}: the provider {method.provider} does not offer the method {method.method!r}.",
                mend=f"It offers: {', '.join(known)}.",
            )


def _asked(desk: Desk) -> None:
    """Refuse a platform that asks us about PINs which the library system does not tell us of."""
    for name, platform in desk.elending.items():
        if platform.capabilities().inbound and not desk.system.capabilities().sign_in:
            raise ConfigurationError(
                f"libraries.{desk.key}.elending.{name}: the platform sends PINs, but the library system "
                "is not asked about PINs.",
                mend="Switch signing in on for the library system, or let its own service answer.",
            )
