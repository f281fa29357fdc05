"""ils-payment: libraries take money online and get it right.

A plugin author starts with ``from ils_payment import hookimpl``; everything else a plugin may
use is in :mod:`ils_payment.ports`, :mod:`~ils_payment.model`, :mod:`~ils_payment.money`,
:mod:`~ils_payment.errors` and :mod:`~ils_payment.testing`.
"""

from ils_payment._markers import hookimpl

__version__ = "0.1.0"
__all__ = ["__version__", "hookimpl"]
