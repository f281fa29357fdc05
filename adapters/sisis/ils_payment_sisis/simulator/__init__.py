"""A small SISIS of our own making: one town behind three doors, with bad habits.

It is no copy of OCLC's programs: SLNP and NCIP2SLNP answer what ``docs/sisis.md`` says was seen in public
code, SIP2 is the simulator of the plugin ``sip2``. All three have the same books. Commands that list fees
or renew cards are made up here, with names that nobody else has.
"""

from ils_payment_sisis.simulator.faults import Fault, Habits
from ils_payment_sisis.simulator.sisis import SISISSimulator

__all__ = ["Fault", "Habits", "SISISSimulator"]
