"""Who may not borrow at first: because of fees, and some for a reason that no payment mends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment.model import Block
from tests.faults.lending import OTHER

if TYPE_CHECKING:
    from tests.faults.setting import Setting


def start(setting: Setting) -> None:
    """Block every patron for fees, and some for another reason, too."""
    if setting.lending is None:
        return
    for patron in setting.patrons:
        blocks = [Block(kind="fees", liftable=True)]
        if setting.mix.strikes("other_block"):
            blocks.append(OTHER)
        setting.lending.blocks[patron] = blocks
