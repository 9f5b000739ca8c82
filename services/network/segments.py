"""VXLAN network identifiers: which this cloud may use."""

from msgspec import Struct

from services.network.gaps import Range

# 24 bits; 0 is kept from use by many devices.
LAST = (1 << 24) - 1


class Segments(Struct, frozen=True, forbid_unknown_fields=True):
    """The table `[network]` of the settings: identifiers from `vni_first` to `vni_last`, both included.

    Narrow it where the hosts' own network carries VXLAN of others.
    """

    vni_first: int = 1
    vni_last: int = LAST

    def __post_init__(self) -> None:
        if not 1 <= self.vni_first <= self.vni_last <= LAST:
            raise ValueError(f"vni_first to vni_last must be within 1 to {LAST}")

    @property
    def ranges(self) -> list[Range]:
        """As ranges to search."""
        return [(self.vni_first, self.vni_last)]
