"""The protocols by name: `span` is ours and the papers', the others are released scorers with all their departures."""

from typing import Final

from gmner.errors import ConfigError, UnknownNameError
from gmner.metrics.overlap import Threshold
from gmner.metrics.protocols.h_index import h_index
from gmner.metrics.protocols.mqspn import MQSPN
from gmner.metrics.protocols.protocol import Protocol, Tally
from gmner.metrics.protocols.riveg import RIVEG
from gmner.metrics.protocols.span import span

PROTOCOLS: Final = ("span", "riveg", "h-index", "mqspn")

__all__ = ["PROTOCOLS", "Protocol", "Tally", "find_protocol"]


def find_protocol(name: str, *, iou: float = 0.5, inclusive: bool = False, top: int = 18) -> Protocol:
    """The protocol of a name. Only `span` takes another threshold, only `h-index` another number of candidates.

    Raises:
        UnknownNameError: there is no such protocol.
        ConfigError: a setting is out of range, or not one of this protocol.
    """
    if not 0 <= iou <= 1:
        raise ConfigError(f"an IoU threshold of {iou}", allowed="IoU lies in [0, 1]", todo="give a number like 0.5")
    if top < 1:
        raise ConfigError(f"the top {top} candidates", allowed="at least one is kept", todo="give a number like 18")
    if name == "span":
        return span(iou, inclusive)
    released: dict[str, Protocol] = {"riveg": RIVEG, "h-index": h_index(top), "mqspn": MQSPN}
    if name not in released:
        raise UnknownNameError("protocol", name, PROTOCOLS)
    if (iou, inclusive) != (0.5, False):
        raise ConfigError(
            f"{Threshold(iou, inclusive)} for protocol {name!r}",
            allowed=f"its release fixes {released[name].threshold}",
            todo="leave the threshold out, or use protocol 'span'",
        )
    return released[name]
