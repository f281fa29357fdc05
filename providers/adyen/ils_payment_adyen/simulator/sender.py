"""The thread that posts notices when the simulator is served."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import requests

if TYPE_CHECKING:
    from ils_payment_adyen.simulator import AdyenSimulator
    from ils_payment_adyen.simulator.outbox import Parcel

LOOK_AGAIN_SECONDS = 0.25
TIMEOUT_SECONDS = 10


class Sender:
    """Posts what is due, one after the other, and reports the answers."""

    def __init__(self, simulator: AdyenSimulator) -> None:
        """Remember the simulator; nothing runs before :meth:`start`."""
        self._simulator = simulator
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start posting."""
        if not self._simulator.webhook_url:
            raise ValueError("the simulator has no webhook_url to post to")
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._run, name="adyen-webhooks", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop posting; a delivery under way is finished."""
        self._stopping.set()
        self._simulator.outbox.wake.set()
        if self._thread is not None:
            self._thread.join(timeout=TIMEOUT_SECONDS + 5)
            self._thread = None

    def _run(self) -> None:
        wake = self._simulator.outbox.wake
        with requests.Session() as session:
            while not self._stopping.is_set():
                wake.clear()
                for parcel in self._simulator.due_deliveries():
                    self._simulator.answered(parcel, self._post(session, parcel))
                wake.wait(LOOK_AGAIN_SECONDS)

    def _post(self, session: requests.Session, parcel: Parcel) -> int | None:
        """Return the endpoint's status, or None where it gave no answer."""
        try:
            answer = session.post(
                str(self._simulator.webhook_url),
                data=parcel.body,
                headers=parcel.headers,
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
            )
        except requests.RequestException:
            return None
        return answer.status_code
