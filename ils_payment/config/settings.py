"""The whole configuration file as one object."""

from __future__ import annotations

from pydantic import Field, model_validator

from ils_payment.config.fields import PlainKey, Table, wrong_at
from ils_payment.config.library import Library
from ils_payment.config.server import EMBEDDED, Mail, Server
from ils_payment.config.staff import Staff

OURS = ("api", "health", "metrics", "static", "webhooks")
"""First parts of addresses that are the program's own: a library's pages would not be there."""


class Settings(Table):
    """The whole configuration file."""

    server: Server = Field(description="The table [server], with public_url at least.")
    mail: Mail | None = None
    staff: Staff | None = None
    libraries: dict[PlainKey, Library] = Field(
        min_length=1, description="One table for each library, [libraries.KEY]; ils-payment init writes one."
    )

    @model_validator(mode="after")
    def _libraries_have_an_address(self) -> Settings:
        for key in OURS:
            if key in self.libraries:
                raise wrong_at(
                    f"libraries.{key}", "this address is the program's own; give the library another key"
                )
        return self

    @model_validator(mode="after")
    def _staff_has_an_address(self) -> Settings:
        if self.staff is not None and "staff" in self.libraries:
            raise wrong_at(
                "libraries.staff", "the staff pages have this address; give the library another key"
            )
        return self

    @model_validator(mode="after")
    def _platforms_have_an_address(self) -> Settings:
        if "elending" in self.libraries and any(one.elending for one in self.libraries.values()):
            raise wrong_at(
                "libraries.elending", "eLending platforms ask at this address; give the library another key"
            )
        return self

    @model_validator(mode="after")
    def _reminders_can_be_sent(self) -> Settings:
        for key, library in self.libraries.items():
            if library.reminders.days_before and self.mail is None:
                raise wrong_at(
                    f"libraries.{key}.reminders.days_before", "nobody can be reminded without [mail]; add it"
                )
        return self

    def plugin_names(self) -> set[str]:
        """Return the names of all plugins that the configuration uses."""
        tables = [
            table
            for library in self.libraries.values()
            for table in (library.library_system, *library.providers.values(), *library.elending.values())
        ]
        return {self.server.runner} - {EMBEDDED} | {table.plugin for table in tables}
