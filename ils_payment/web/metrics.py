"""What Prometheus reads: what this process counted, and what the ledger says when somebody asks.

Labels are names from the configuration and words of our own, so there are few of each; nothing of a person
or a payment is ever one. ``docs/monitoring/README.md`` lists the metrics; a test holds it against this file.
"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from ils_payment import __version__
from ils_payment.domain.states import PAID_UNSETTLED
from ils_payment.errors import StoreBusyError
from ils_payment.store import watching

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client import Metric

    from ils_payment.flows.house import House
    from ils_payment.store.watching import Seen, Waiting
    from ils_payment.web.intake import Intake

SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0)
"""Upper ends of the buckets for calls: a fast library system to one at its deadline."""

QUEUES = (
    ("cases", "ils_payment_cases_open", "ils_payment_oldest_case_seconds", ("library", "kind")),
    (
        "notices",
        "ils_payment_notices_waiting",
        "ils_payment_oldest_notice_seconds",
        ("library", "provider"),
    ),
    ("mails", "ils_payment_mails_waiting", "ils_payment_oldest_mail_seconds", ("kind",)),
    ("refunds", "ils_payment_refunds_waiting", "ils_payment_oldest_refund_seconds", ("library", "state")),
    ("overdue", "ils_payment_payments_due", "ils_payment_oldest_due_seconds", ("library",)),
)
_HELP = {
    "cases": "cases that wait for a person",
    "notices": "stored webhook notices that were not looked at yet",
    "mails": "mails that wait to be sent",
    "refunds": "refunds that wait for a second person, the provider or its answer",
    "overdue": "payments whose next step is due and was not begun",
}

log = structlog.get_logger(__name__)


class Metrics:
    """Everything that is counted in this process."""

    def __init__(self, house: House, intake: Intake) -> None:
        """Register everything in a registry of its own, and hear of the calls of *house* from now on."""
        self._registry = registry = CollectorRegistry()
        self._children: dict[tuple[str, str, str], Counter] = {}
        Info("ils_payment_build", "The program's version.", registry=registry).info(
            {
                "version": __version__,
                "python": platform.python_version(),
                "database": house.store.engine.dialect.name,
            }
        )
        self._notices = Counter(
            "ils_payment_webhook_requests",
            "Webhook requests by outcome: stored, unneeded, forged, busy, failed, too_large.",
            ("library", "provider", "outcome"),
            registry=registry,
        )
        self._calls = Counter(
            "ils_payment_remote_calls",
            "Calls to library systems and providers by kind and outcome.",
            ("library", "remote", "call", "outcome"),
            registry=registry,
        )
        self._seconds = Histogram(
            "ils_payment_remote_call_seconds",
            "How long calls to library systems and providers took.",
            ("library", "remote", "call"),
            buckets=SECONDS,
            registry=registry,
        )
        self._gauges(intake)
        registry.register(_Ledger(house))
        ProcessCollector(registry=registry)
        house.watch.seen = self.call

    def _gauges(self, intake: Intake) -> None:
        Gauge(
            "ils_payment_notice_queue",
            "Webhook requests that wait for their commit.",
            registry=self._registry,
        ).set_function(lambda: intake.depth)
        Gauge(
            "ils_payment_notices_repeated", "Notices that had come before.", registry=self._registry
        ).set_function(lambda: intake.repeated)

    def notice(self, library: str, provider: str, outcome: str) -> None:
        """Count one webhook request; only configured names come here, so the table stays small."""
        child = self._children.get((library, provider, outcome))
        if child is None:
            child = self._notices.labels(library, provider, outcome)
            self._children[library, provider, outcome] = child
        child.inc()

    def call(self, library: str, remote: str, call: str, outcome: str, seconds: float) -> None:
        """Count one call to a remote."""
        self._calls.labels(library, remote, call, outcome).inc()
        self._seconds.labels(library, remote, call).observe(seconds)

    def text(self) -> bytes:
        """Return everything in Prometheus' text form."""
        return generate_latest(self._registry)


class _Ledger(Collector):
    """What the ledger says. If it cannot be read, the metrics say that and nothing else of it."""

    def __init__(self, house: House) -> None:
        self._house = house

    def describe(self) -> list[Metric]:
        """Name nothing in advance: the ledger is read when somebody asks, not at the start."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Read the ledger."""
        seen: Seen | None = None
        try:
            with self._house.store.read() as unit:
                seen = watching.see(unit)
        except (StoreBusyError, SQLAlchemyError) as error:
            log.error("metrics_without_ledger", reason=type(error).__name__)  # noqa: TRY400 - asked every few seconds
        up = GaugeMetricFamily("ils_payment_database_up", "1 when the ledger can be read.")
        up.add_metric((), seen is not None)
        failures = CounterMetricFamily(
            "ils_payment_database_errors", "How often this process could not use the database."
        )
        failures.add_metric((), self._house.store.failures)
        yield from (up, failures)
        if seen is not None:
            yield from _flags(seen)
            yield from _payments(seen, self._house.libraries)
            yield from _queues(seen)
            yield from _done(seen)


def _flags(seen: Seen) -> Iterator[Metric]:
    paused = GaugeMetricFamily("ils_payment_paused", "1 while no new payments are accepted.")
    paused.add_metric((), seen.paused)
    restored = GaugeMetricFamily(
        "ils_payment_unreconciled",
        "1 after a restore, until reconcile has run: nothing is written outside meanwhile.",
    )
    restored.add_metric((), seen.unreconciled)
    yield from (paused, restored)


def _payments(seen: Seen, libraries: Iterable[str]) -> Iterator[Metric]:
    states = GaugeMetricFamily("ils_payment_payments", "Payments by state.", labels=("library", "state"))
    held = GaugeMetricFamily(
        "ils_payment_payments_held", "Payments that wait for a person.", labels=("library",)
    )
    oldest = GaugeMetricFamily(
        "ils_payment_oldest_unsettled_seconds",
        "Age of the oldest payment that is paid and not settled.",
        labels=("library",),
    )
    for library in libraries:
        mine = [row for row in seen.states if row.library == library]
        waiting = [row.oldest_paid_at for row in mine if row.state in PAID_UNSETTLED and row.oldest_paid_at]
        held.add_metric((library,), sum(row.held for row in mine))
        oldest.add_metric((library,), max(((seen.at - at).total_seconds() for at in waiting), default=0))
        for row in mine:
            states.add_metric((library, row.state), row.payments)
    yield from (states, held, oldest)


def _queues(seen: Seen) -> Iterator[Metric]:
    for what, count_name, age_name, labels in QUEUES:
        count = GaugeMetricFamily(count_name, f"Number of {_HELP[what]}.", labels=labels)
        age = GaugeMetricFamily(age_name, f"Age of the oldest of the {_HELP[what]}.", labels=labels)
        rows: list[Waiting] = getattr(seen, what)
        for row in rows:
            count.add_metric(row.names, row.count)
            if row.since is not None:
                age.add_metric(row.names, max((seen.at - row.since).total_seconds(), 0))
        yield from (count, age)


def _done(seen: Seen) -> Iterator[Metric]:
    done = GaugeMetricFamily(
        "ils_payment_last_done_timestamp_seconds",
        "When something regular was done last: reconciled, backup, export.",
        labels=("what", "library"),
    )
    for names, at in seen.done.items():
        done.add_metric(names, at.timestamp())
    yield done
