"""The form of the requests: names and kinds of their fields, as Adyen's description of Checkout v72 has them.

A small check of our own, so that the simulator refuses what Adyen would refuse without needing the
description itself; the tests hold the requests against the description where it is at hand.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SESSION = frozenset(
    [
        "accountInfo",
        "additionalAmount",
        "additionalData",
        "allowedPaymentMethods",
        "amount",
        "applicationInfo",
        "authenticationData",
        "billingAddress",
        "blockedPaymentMethods",
        "captureDelayHours",
        "channel",
        "company",
        "countryCode",
        "dateOfBirth",
        "deliverAt",
        "deliveryAddress",
        "enableOneClick",
        "enablePayOut",
        "enableRecurring",
        "expiresAt",
        "fundOrigin",
        "fundRecipient",
        "installmentOptions",
        "lineItems",
        "mandate",
        "mcc",
        "merchantAccount",
        "merchantOrderReference",
        "metadata",
        "mode",
        "mpiData",
        "platformChargebackLogic",
        "recurringExpiry",
        "recurringFrequency",
        "recurringProcessingModel",
        "redirectFromIssuerMethod",
        "redirectToIssuerMethod",
        "reference",
        "returnUrl",
        "riskData",
        "shopperEmail",
        "shopperIP",
        "shopperInteraction",
        "shopperLocale",
        "shopperName",
        "shopperReference",
        "shopperStatement",
        "showInstallmentAmount",
        "showRemovePaymentMethodButton",
        "socialSecurityNumber",
        "splitCardFundingSources",
        "splits",
        "store",
        "storeFiltrationMode",
        "storePaymentMethod",
        "storePaymentMethodMode",
        "telephoneNumber",
        "themeId",
        "threeDS2RequestData",
        "threeDSAuthenticationOnly",
        "trustedShopper",
    ]
)
LINK = frozenset(
    [
        "allowedPaymentMethods",
        "amount",
        "applicationInfo",
        "billingAddress",
        "blockedPaymentMethods",
        "captureDelayHours",
        "countryCode",
        "dateOfBirth",
        "deliverAt",
        "deliveryAddress",
        "description",
        "expiresAt",
        "fundOrigin",
        "fundRecipient",
        "installmentOptions",
        "lineItems",
        "manualCapture",
        "mcc",
        "merchantAccount",
        "merchantOrderReference",
        "metadata",
        "platformChargebackLogic",
        "recurringProcessingModel",
        "reference",
        "requiredShopperFields",
        "returnUrl",
        "reusable",
        "riskData",
        "shopperEmail",
        "shopperLocale",
        "shopperName",
        "shopperReference",
        "shopperStatement",
        "showRemovePaymentMethodButton",
        "socialSecurityNumber",
        "splitCardFundingSources",
        "splits",
        "store",
        "storePaymentMethodMode",
        "telephoneNumber",
        "themeId",
        "threeDS2RequestData",
    ]
)
METHODS = frozenset(
    [
        "additionalData",
        "allowedPaymentMethods",
        "amount",
        "blockedPaymentMethods",
        "browserInfo",
        "channel",
        "countryCode",
        "merchantAccount",
        "order",
        "shopperConversionId",
        "shopperEmail",
        "shopperIP",
        "shopperLocale",
        "shopperReference",
        "splitCardFundingSources",
        "store",
        "storeFiltrationMode",
        "telephoneNumber",
    ]
)
REFUND = frozenset(
    [
        "amount",
        "applicationInfo",
        "capturePspReference",
        "enhancedSchemeData",
        "lineItems",
        "merchantAccount",
        "merchantRefundReason",
        "reference",
        "splits",
        "store",
    ]
)

_ALWAYS = ("amount", "merchantAccount")
_OPERATIONS: Mapping[str, tuple[frozenset[str], tuple[str, ...]]] = {
    "sessions": (SESSION, (*_ALWAYS, "reference", "returnUrl")),
    "links": (LINK, (*_ALWAYS, "reference")),
    "methods": (METHODS, ("merchantAccount",)),
    "refunds": (REFUND, _ALWAYS),
    "links.update": (frozenset({"status"}), ("status",)),
}
_STATEMENT = re.compile(r"[A-Za-z0-9 .,'_\-?+*/]*", re.ASCII)


def _is_amount(value: Any) -> bool:  # noqa: ANN401 - parsed JSON
    whole = isinstance(value, dict) and set(value) == {"currency", "value"}
    return (
        whole and type(value["value"]) is int and re.fullmatch("[A-Z]{3}", str(value["currency"])) is not None
    )


def _is_metadata(value: Any) -> bool:  # noqa: ANN401 - parsed JSON
    return (
        isinstance(value, dict)
        and len(value) <= 20
        and all(isinstance(text, str) and len(key) <= 20 and len(text) <= 80 for key, text in value.items())
    )


_FIELDS: Mapping[str, Callable[[Any], bool]] = {
    "amount": _is_amount,
    "metadata": _is_metadata,
    "captureDelayHours": lambda value: type(value) is int,
    "reusable": lambda value: isinstance(value, bool),
    "allowedPaymentMethods": lambda value: (
        isinstance(value, list) and all(isinstance(one, str) for one in value)
    ),
    "lineItems": lambda value: isinstance(value, list) and all(isinstance(one, dict) for one in value),
    "mode": lambda value: value in {"embedded", "hosted"},
    "channel": lambda value: value in {"iOS", "Android", "Web"},
    "storePaymentMethodMode": lambda value: value in {"askForConsent", "disabled", "enabled"},
    "description": lambda value: isinstance(value, str) and len(value) <= 280,
    "shopperStatement": lambda value: isinstance(value, str) and bool(_STATEMENT.fullmatch(value)),
    "returnUrl": lambda value: isinstance(value, str) and len(value) <= 1024,
    "expiresAt": lambda value: (
        isinstance(value, str) and bool(re.fullmatch(r"[0-9-]{10}T[0-9:]{8}([+-][0-9]{2}:[0-9]{2}|Z)", value))
    ),
}
"""Of the fields that the product sends; every other one is text."""


def problem_of(operation: str, body: Any) -> str:  # noqa: ANN401 - parsed JSON
    """Return what is wrong with the *body* of a request; empty if nothing is."""
    if operation not in _OPERATIONS:
        return ""
    if not isinstance(body, dict):
        return "The body is no object."
    known, needed = _OPERATIONS[operation]
    for name in needed:
        if name not in body:
            return f"Required field '{name}' is not provided."
    for name, value in body.items():
        if name not in known:
            return f"Structure of the request contains the following unknown fields: [{name}]"
        if not _FIELDS.get(name, lambda text: isinstance(text, str))(value):
            return f"Field '{name}' is not valid."
    return ""
