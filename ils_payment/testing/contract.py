"""What the tests of both contracts share: a stand for each test, and a watch over everything that is said."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from ils_payment.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Contract:
    """A class of tests on the stand that its subclass names as ``on``.

    ``said`` collects every message of the plugin; at the end of each test nothing confidential may be in it,
    nor in what was logged.
    """

    on: ClassVar[type[Any]]
    stand: Any
    said: list[str]

    @pytest.fixture(autouse=True)
    def _on_a_stand(self, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
        caplog.set_level(logging.DEBUG)
        self.stand, self.said = self.on(), []
        self.opened()
        yield
        self.nothing_confidential_was_told(caplog.text)

    def opened(self) -> None:
        """Connect the plugin to the new stand."""
        raise NotImplementedError

    def confidential(self) -> list[str]:
        """Return what must not be in any message."""
        return list(self.stand.secrets)

    def nothing_confidential_was_told(self, logged: str) -> None:
        """Look through everything that was said and logged; credentials and PINs are for nobody's eyes."""
        told = "\n".join([*self.said, logged])
        assert [text for text in self.confidential() if text and text in told] == []

    def refused(self, question: Callable[[], object], *kinds: type[RemoteError]) -> RemoteError:
        """Ask what must end in a RemoteError (of one of *kinds*), note its text and return it."""
        with pytest.raises(kinds or RemoteError) as caught:
            question()
        self.said.append(str(caught.value))
        assert caught.value.what, "an error says what happened"
        return caught.value

    def tell(self, outcome: Any) -> Any:  # noqa: ANN401 - any outcome
        """Note the reason of *outcome*, if it has one, and return the outcome."""
        reason = getattr(outcome, "reason", None)
        if reason is not None:
            assert isinstance(reason, str)
            assert reason.strip(), "a reason says something"
            self.said.append(reason)
        return outcome
