"""A small SIP2 server of our own making, with the bad habits that real ones are known for.

It is no copy of any maker's server: what it does follows the protocol's version 2.00 and what
``docs/sip2.md`` says of the dialects. It shares no code with the client but the names of a dialect's fields.
"""

from ils_payment.testing.books import Books
from ils_payment_sip2.simulator.faults import Fault, Habits
from ils_payment_sip2.simulator.server import SIP2Simulator

__all__ = ["Books", "Fault", "Habits", "SIP2Simulator"]
