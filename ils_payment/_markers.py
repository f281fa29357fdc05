"""The two pluggy markers; leftmost of all modules so that anything may use them."""

import pluggy

PROJECT = "ils_payment"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
