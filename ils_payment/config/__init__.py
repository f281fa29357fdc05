"""What the configuration file may say. Loading it, and telling what is wrong in it, is in ``loading.py``.

Every field has a description: ``ils-payment init`` writes it as a comment and
``docs/configuration.md`` lists it; a test holds both against these tables.
"""

from ils_payment.config.appearance import Contact, FeeKind, NotPayable, Pages, Receipt
from ils_payment.config.fields import PluginTable
from ils_payment.config.library import (
    GONE_METHODS,
    Arrival,
    Export,
    Key,
    Library,
    Method,
    Retention,
    Settle,
)
from ils_payment.config.server import EMBEDDED, Mail, Server
from ils_payment.config.settings import Settings
from ils_payment.config.staff import Oidc, RoleName, Staff

__all__ = [
    "EMBEDDED",
    "GONE_METHODS",
    "Arrival",
    "Contact",
    "Export",
    "FeeKind",
    "Key",
    "Library",
    "Mail",
    "Method",
    "NotPayable",
    "Oidc",
    "Pages",
    "PluginTable",
    "Receipt",
    "Retention",
    "RoleName",
    "Server",
    "Settings",
    "Settle",
    "Staff",
]
