"""A small server that imitates the REST API of Koha 23.05.04, its bad habits included.

Everything marked "seen" was recorded on a running Koha 23.05.04.000; "read in the code" and
"inferred" say so where they stand.
"""

from ils_payment_koha.simulator.habits import RECORDED_LATENCY, KohaHabits
from ils_payment_koha.simulator.koha import KohaSimulator

__all__ = ["RECORDED_LATENCY", "KohaHabits", "KohaSimulator"]
