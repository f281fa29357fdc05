"""Every error that the product expects: one root, one child for each cause.

Each error says *what* happened in one sentence and *mend*: what the person who runs the
installation does next. The command line prints both and exits 1; no traceback. A patron never
sees either text: pages say what happened in words of their own.
"""


class ILSPaymentError(Exception):
    """The root of all expected errors."""

    def __init__(self, what: str, *, mend: str = "") -> None:
        """Keep *what* happened and the *mend*; neither may hold personal data or a secret."""
        super().__init__(what)
        self.what = what
        self.mend = mend

    def __str__(self) -> str:
        """Both sentences, for a log line or the command line."""
        return f"{self.what} {self.mend}".strip()


class ConfigurationError(ILSPaymentError):
    """The configuration has a wrong, missing or unknown entry; nothing was started."""


class PluginError(ILSPaymentError):
    """A plugin that the configuration names is missing, broken or lacks its extra packages."""


class SchemaError(ILSPaymentError):
    """The database is not as this version needs it (older schema, a trigger missing)."""


class StoreBusyError(ILSPaymentError):
    """The database could not be written to in time; the caller may try again."""


class RemoteError(ILSPaymentError):
    """A library system or provider could not answer a question that changes nothing there."""


class RemoteUnavailableError(RemoteError):
    """The remote is down, slow or in maintenance: asking again later may work."""


class RemoteRefusedError(RemoteError):
    """The remote refuses us (credentials, rights): an administrator has to mend it."""


class RemoteAbsentError(RemoteRefusedError):
    """The remote no longer has what was asked about, such as a patron: asking again cannot help."""


class RemoteGarbledError(RemoteError):
    """The remote answered something that its specification does not allow."""


class InvariantError(ILSPaymentError):
    """A rule that must always hold does not: the payment at hand is held with a case."""
