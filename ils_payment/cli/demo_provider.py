"""The demo's payment providers: the secrets, the simulator and the configuration of each.

Only words and addresses: the simulator is found by its name, like any other plugin's.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ils_payment.toml_text import toml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ils_payment.world import World

ACCOUNT = "LindentalECOM"


@dataclass(frozen=True, slots=True)
class DemoProvider:
    """One provider of the demo.

    ``secrets`` makes them up, by the names of their files; ``options`` are what the simulator's ``demo``
    is called with; ``table`` writes the keys of the configuration, from the references to the files and
    the simulator's address.
    """

    secrets: Callable[[World], dict[str, str]]
    options: Callable[[Mapping[str, str]], dict[str, Any]]
    table: Callable[[Mapping[str, str], str], str]


def _stripe_table(files: Mapping[str, str], address: str) -> str:
    return f"""\
api_key = {files["stripe"]}
webhook_secrets = [{files["webhook"]}]
statement_descriptor = "STADTBUECHEREI"
api_base = {toml(address)}
"""


def _adyen_table(files: Mapping[str, str], address: str) -> str:
    return f"""\
api_key = {files["adyen"]}
merchant_account = {toml(ACCOUNT)}
hmac_keys = [{files["hmac"]}]
statement = "STADTBUECHEREI"
api_base = {toml(address)}
"""


def _xbezahldienste_table(files: Mapping[str, str], address: str) -> str:
    return f"""\
url = {toml(address)}
originator_id = "bibliothek"
end_point_id = "08115003"
authentication = "basic"
user = "bibliothek"
password = {files["xbezahldienste"]}
booking_data = {{ HHST = "{{cost_centre}}", Objektnummer = "{{account}}" }}
"""


PROVIDERS: Mapping[str, DemoProvider] = MappingProxyType(
    {
        "stripe": DemoProvider(
            secrets=lambda world: {
                "stripe": f"sk_test_{world.random_text(24)}",
                "webhook": f"whsec_{world.random_text(32)}",
            },
            options=lambda made: {"api_key": made["stripe"], "webhook_secret": made["webhook"]},
            table=_stripe_table,
        ),
        "adyen": DemoProvider(
            secrets=lambda world: {
                "adyen": f"AQE{world.random_text(40)}",
                "hmac": world.random_bytes(32).hex().upper(),
            },
            options=lambda made: {
                "api_key": made["adyen"],
                "hmac_key": made["hmac"],
                "merchant_account": ACCOUNT,
            },
            table=_adyen_table,
        ),
        "xbezahldienste": DemoProvider(
            secrets=lambda world: {"xbezahldienste": world.random_text(32)},
            options=lambda made: {"basic": ("bibliothek", made["xbezahldienste"])},
            table=_xbezahldienste_table,
        ),
    }
)
