"""Log lines go to standard error, as text or JSON, and never show what stood in a variable.

An exception is told by where it came from and by its class. Its text is told only if it is one of ours:
others repeat what they stumbled over, which may be a card number, a PIN or the title of a book.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from typing import TYPE_CHECKING

import structlog

from ils_payment.errors import ILSPaymentError

if TYPE_CHECKING:
    from structlog.typing import ExcInfo, Processor


def configure(form: str = "text", level: int = logging.WARNING) -> None:
    """Set up structlog and the standard library's logging alike; standard output stays free for results."""
    first: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.ExceptionRenderer(told),
    ]
    last: list[Processor]
    if form == "json":
        last = [structlog.processors.JSONRenderer()]
    else:
        # The renderer's own formatters of exceptions print local variables; the text is there already.
        plain = structlog.dev.plain_traceback
        last = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
    structlog.configure(
        processors=[*first, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=first,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(level, logging.INFO))
    # These tell addresses of requests at INFO, with what stands in them.
    for name in ("urllib3", "httpx", "alembic", "stripe"):
        logging.getLogger(name).setLevel(logging.WARNING)


def quiet_threads() -> None:
    """Let a thread that fails be logged like everything else; Python would print the exception's text."""
    threading.excepthook = _thread_failed


def told(exc_info: ExcInfo) -> str:
    """Return an exception and what it came from: places and classes, and the texts of our own errors."""
    parts: list[str] = []
    error: BaseException | None = exc_info[1]
    while error is not None and len(parts) < 100:
        ours = f": {error}" if isinstance(error, ILSPaymentError) else " (text left out)"
        kind = type(error)
        places = "".join(traceback.format_tb(error.__traceback__))
        parts.append(f"{places}{kind.__module__}.{kind.__qualname__}{ours}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\ncame from:\n".join(parts)


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    error = failure.exc_value
    name = failure.thread.name if failure.thread else "?"
    structlog.get_logger(__name__).error("thread_failed", thread=name, exc_info=error)
