"""What the demo's administrator wrote: the configuration and the tariff."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment.toml_text import toml

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ils_payment.testing.demo import DemoLibrary

TARIFF = """\
currency = "EUR"

[[versions]]
valid_from = 2025-01-01
by_law = { de = "Gebührensatzung der Stadtbücherei Lindental", en = "By-law on fees of the town library" }
who_helps = { de = "Das Team an der Theke hilft Ihnen gern.", en = "The team at the desk will gladly help." }
lead_days = 42
period = { months = 12, start = "later" }

[versions.kinds.annual_fee]
label = { de = "Jahresgebühr", en = "Annual fee" }
codes = ["ACCOUNT", "ACCOUNT_RENEW"]
cost_centre = "4710"
account = "331000"

[versions.kinds.overdue]
label = { de = "Säumnisgebühr", en = "Late fee" }
codes = ["OVERDUE"]
cost_centre = "4711"
account = "331100"
amounts = [{ amount = "0.50", per = ["item", "started_week"] }]

[versions.kinds.reservation]
label = { de = "Vormerkung", en = "Reservation" }
codes = ["RESERVE"]
amounts = [{ amount = "1.50", per = ["item"] }]

[versions.kinds.new_card]
label = { de = "Ersatzausweis", en = "Replacement card" }
codes = ["NEW_CARD"]
amounts = [{ amount = "2.50", per = ["card"] }]

[versions.kinds.interlibrary]
label = { de = "Fernleihe und Sonstiges", en = "Interlibrary loan and others" }
codes = ["MANUAL"]
amounts = [{ amount = "2.00", per = ["request"] }]

[versions.categories.adult]
label = { de = "Erwachsene", en = "Adults" }
codes = ["ERW"]
amount = "15.00"

[versions.categories.young]
label = { de = "Kinder und Jugendliche", en = "Children and young people" }
codes = ["KIND"]
amount = "0.00"

[versions.categories.staff]
label = { de = "Personal", en = "Staff" }
codes = ["MITARB"]
online = false
why = { de = "Ausweise des Personals verlängert die Leitung.", en = "Staff cards are renewed by the head." }
"""


def references(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return how the configuration names the files of secrets."""
    return {name: toml({"file": str(folder / name)}) for name in names}


def configuration(
    library: str, folder: Path, address: str, system: DemoLibrary, provider: tuple[str, str]
) -> str:
    """Return the configuration of the demo as an administrator would write it.

    *provider*: its name, and the keys of its table.
    """
    name, table = provider
    system_table = "\n".join(f"{key} = {toml(value)}" for key, value in system.table.items())
    return f"""\
[server]
public_url = {toml(address)}
database = {toml(f"sqlite:///{folder}/ledger.db")}

[libraries.{library}]
name = "Stadtbücherei Lindental"
test_cards = {toml(list(system.cards))}
tariff = {toml(str(folder / "tariff.toml"))}

[libraries.{library}.library_system]
{system_table}

[libraries.{library}.providers.{name}]
{table}
[[libraries.{library}.methods]]
method = "card"
provider = "{name}"
minimum_amount = "1.00"

[[libraries.{library}.methods]]
method = "instant_bank_transfer"
provider = "{name}"

[libraries.{library}.contact]
phone = "03944 555 0123"
mail = "buecherei@lindental.example"
hours = {{ de = "Di-Fr 10-18 Uhr, Sa 10-13 Uhr", en = "Tue-Fri 10 am-6 pm, Sat 10 am-1 pm" }}

[libraries.{library}.pages]
imprint_url = "https://lindental.example/impressum"
privacy_url = "https://lindental.example/datenschutz"
accessibility_url = "https://lindental.example/barrierefreiheit"

[libraries.{library}.receipt]
authority = "Stadt Lindental"
address = ["Marktplatz 3", "38899 Lindental"]
tax_note = {{ de = "Gebühr nach öffentlichem Recht; keine Umsatzsteuer.", en = "Public fee; no VAT." }}

[libraries.{library}.elending.onleihe]
mode = "answer"
fee_limit = "2.00"
allowed_networks = ["127.0.0.1"]

[[libraries.{library}.not_payable]]
older_than_days = 1000
text = {{ de = "An die Stadtkasse abgegeben: bitte dort zahlen.", en = "Please pay at the city treasury." }}
"""
