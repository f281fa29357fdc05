"""The provider's webhooks on their way to us, doubled, late, lost, forged, and the chores in between."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from ils_payment_stripe.simulator.webhooks import sign

from ils_payment.flows import tell
from ils_payment.flows.advance import forget_old_notices
from ils_payment.model import RawRequest
from ils_payment.web.intake import Intake, _Waiting
from ils_payment.web.webhooks import Webhooks
from tests.faults.instance import BrokenError

if TYPE_CHECKING:
    from ils_payment_stripe.simulator import Parcel

    from ils_payment.flows.house import House
    from tests.faults.setting import Setting
    from tests.faults.stage import Stage

log = structlog.get_logger(__name__)

PATH = "/webhooks/lindental/stripe"


def start(setting: Setting) -> None:
    """Let the post come, and the chores be done."""
    switches, mix, rng = setting.stripe.webhooks, setting.mix, setting.rng
    for name, turn in (
        ("webhook_duplicated", {"duplicate": 2}),
        ("webhook_reordered", {"reorder": True}),
        ("webhook_late", {"delay_seconds": rng.choice((200, 5000, 200_000))}),
        ("webhook_never", {"drop": True}),
        ("webhook_former_secret", {"sign_with": ("whsec_of_the_past",)}),
    ):
        if mix.has(name) and rng.random() < 0.5:
            mix.fired[name] += 1
            for key, value in turn.items():
                setattr(switches, key, value)
    post = Post(setting)
    setting.scheduler.spawn("post", post.strange)
    setting.scheduler.spawn("chores", lambda: chores(setting))


class Post:
    """Hands webhooks to a living process, by the code that answers them in reality."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.rng = setting.rng
        self.mix = setting.mix

    def next_due(self) -> float:
        """Return when the next webhook is sent, in the scheduler's seconds."""
        outbox = self.setting.stripe._outbox
        waiting = [one.due for one in outbox.deliveries.values() if one.state == "waiting" and one.due]
        return (min(waiting) - self.setting.world.start).total_seconds() if waiting else float("inf")

    def deliver(self) -> None:
        """Send everything that is due now."""
        for parcel in self.setting.stripe.due_deliveries():
            self.setting.scheduler.spawn(f"webhook {parcel.type}", partial(self.hand_over, parcel))

    def hand_over(self, parcel: Parcel) -> None:
        headers = {name.lower(): value for name, value in parcel.headers.items()}
        request = RawRequest(method="POST", path=PATH, headers=headers, body=parcel.body)
        self.setting.stripe.answered(parcel, self.send(request))

    def send(self, request: RawRequest) -> int | None:
        """Return the status of our answer; None: nobody is there."""
        instance = self.setting.alive()
        if instance is None:
            return None
        try:
            status: int = instance.call("webhook", lambda house: answer(house, request))
        except BrokenError:
            return None
        return status

    def strange(self) -> None:
        """Send what no provider sends."""
        kinds = ("webhook_forged", "webhook_unknown_payment", "webhook_mangled")
        for kind in [one for one in kinds if self.mix.has(one)]:
            self.setting.scheduler.sleep(self.rng.choice((5, 50, 500)))
            if self.mix.calm:
                return
            self.mix.fired[kind] += 1
            self.setting.scheduler.note(f"post: {kind}")
            self.send(self._strange(kind))

    def _strange(self, kind: str) -> RawRequest:
        session = next(iter(self.setting.stripe.book.sessions.values()), None) or {"id": "cs_test_none"}
        about = {"id": session["id"], "client_reference_id": session.get("client_reference_id")}
        if kind == "webhook_unknown_payment":
            about = {"id": "cs_test_of_somebody_else", "client_reference_id": "0123456789ABCDEFGHJKMNPQRS"}
        event: dict[str, Any] = {
            "id": f"evt_{kind}",
            "object": "event",
            "type": "checkout.session.completed",
            "livemode": False,
            "data": {"object": {**about, "payment_status": "paid", "status": "complete"}},
        }
        body = json.dumps(event).encode()
        secret = "whsec_guessed" if kind == "webhook_forged" else "whsec_simulator"
        at = int(self.setting.world.now().timestamp())
        signature = f"t={at},v1={sign(body, secret, at)}"
        if kind == "webhook_mangled":
            body = self.rng.choice((body[:40], b"", body + b" " * 300_000))
        return RawRequest(method="POST", path=PATH, headers={"stripe-signature": signature}, body=body)


@dataclass
class _Count:
    """Counts like the metrics of the pages."""

    forged: int = 0

    def notice(self, _library: str, _provider: str, _outcome: str) -> None:
        self.forged += 1


class _AtOnce(Intake):
    """The intake without its thread: the rows are written before ``put`` returns."""

    async def put(self, found: Any) -> Any:
        return self._write([_Waiting(found, None)])[0]  # type: ignore[arg-type]  # nobody waits for it


def answer(house: House, request: RawRequest) -> int:
    """Answer one webhook by the endpoint's own code, from the verified bytes on."""
    endpoint = Webhooks(house, _AtOnce(house), _Count())  # type: ignore[arg-type]  # it counts alike
    provider = house.libraries["lindental"].providers["stripe"]
    taking = endpoint._take("lindental", "stripe", provider, request)
    try:
        taking.send(None)
    except StopIteration as answered:
        return provider.reply(answered.value).status
    raise RuntimeError("the intake waited")


def chores(setting: Stage) -> None:
    """Do what the runner does about every half minute, now and then."""
    for seconds in setting.size.chores:
        setting.scheduler.sleep(seconds * setting.rng.uniform(0.5, 1.5))
        instance = setting.alive()
        if instance is None:
            continue
        for name, chore in (("alarms", tell.alarms), ("mails", tell.send_mails), ("old", forget_old_notices)):
            try:
                instance.call(name, chore)
            except BrokenError:
                break
            except Exception:
                log.exception("chore_failed")
