"""A server of our own that speaks what each preset describes, over one small library's books.

It has the documented shapes and makers' habits as far as they are known; it proves nothing about a running
system of any maker.
"""

from ils_payment_opac_soap.simulator.faults import Fault
from ils_payment_opac_soap.simulator.server import SOAPSimulator

__all__ = ["Fault", "SOAPSimulator"]
