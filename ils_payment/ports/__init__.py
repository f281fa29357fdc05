"""The doors of the house: what a plugin implements and what it gets. This package is the specification.

A plugin is a Python distribution with an entry point in the group ``ils_payment`` whose module
implements hooks (:mod:`ils_payment.hookspecs`). A hook hands over classes; the classes follow the
Protocols below. Rules for all of them:

* Constructors take ``(config, host)`` and do no I/O. ``config`` is an instance of the class's
  ``Config`` (the plugin's own table of the configuration, already validated; a plugin never sees
  another table). Plugins keep no state but caches that may be lost at any time (a token).
* Everything outside is reached through ``host``: HTTP, sockets, the clock. No ``requests.get``,
  no ``datetime.now()``, no threads: the simulator replaces the host and runs this very code.
* Amounts are integer minor units ("cents") of the library's currency. Floats never touch money.
* Questions that change nothing raise a :class:`~ils_payment.errors.RemoteError` when they cannot
  be answered: ``RemoteUnavailableError`` (down, slow: later), ``RemoteRefusedError`` (credentials,
  rights: the administrator), ``RemoteAbsentError`` (the patron is certainly not there any more: a
  payment that waits for this becomes a case at once), ``RemoteGarbledError`` (an answer against the
  specification). ``PinNeededError`` is a refusal, too: only the patron's PIN opens the answer. No
  exception of an SDK or transport crosses the door.
* Calls that move money never raise for anything the remote did: they *return* what is known,
  and **unclear is the default** for everything that is not classified as applied or as certainly
  not applied. They are never repeated inside a plugin; retries of SDK and transport are 0.
* No card number, name, e-mail address, title of a book or secret in an exception, a ``reason``,
  a log line or anything sent to a provider.
* Methods may be called from several threads at once.
* :class:`LibrarySystem`, :class:`PaymentProvider` and :class:`ELendingPlatform` are what every plugin
  has. What a class can do beyond them it declares in its capabilities and implements as a small Protocol
  of its own (:class:`Charging`, :class:`Renewing`, :class:`Lifting`, :class:`Expiring`, :class:`Pricing`,
  :class:`Contacting`, :class:`Evidencing`, :class:`Refunding`, :class:`FindingRefunds`, :class:`Listing`,
  :class:`PayingOut`, :class:`Serving`); a class that declares one and does not have its methods is refused at
  the start.
"""

from ils_payment.ports.elending import ELendingPlatform, LibraryReader, Serving
from ils_payment.ports.host import Host, LibraryInfo, PluginConfig
from ils_payment.ports.library_system import (
    Charging,
    Contacting,
    Evidencing,
    Expiring,
    LibrarySystem,
    Lifting,
    Pricing,
    Renewing,
)
from ils_payment.ports.provider import FindingRefunds, Listing, PayingOut, PaymentProvider, Refunding
from ils_payment.ports.runner import Runner
from ils_payment.secret import Secret

__all__ = [
    "Charging",
    "Contacting",
    "ELendingPlatform",
    "Evidencing",
    "Expiring",
    "FindingRefunds",
    "Host",
    "LibraryInfo",
    "LibraryReader",
    "LibrarySystem",
    "Lifting",
    "Listing",
    "PayingOut",
    "PaymentProvider",
    "PluginConfig",
    "Pricing",
    "Refunding",
    "Renewing",
    "Runner",
    "Secret",
    "Serving",
]
