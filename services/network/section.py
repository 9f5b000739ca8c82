"""The network service's own settings."""

from msgspec import Struct

from services.network.gaps import Range

# 24 bits; 0 is kept from use by many devices.
LAST = (1 << 24) - 1
# Seconds.
LONGEST_PATIENCE = 3600.0


class Section(Struct, frozen=True, forbid_unknown_fields=True):
    """The table `[network]` of the settings: identifiers from `vni_first` to `vni_last`, both included.

    Narrow it where the hosts' own network carries VXLAN of others. `confirm_seconds`: how long hosts have
    for a change of a router or a floating IP before it is taken back.
    """

    vni_first: int = 1
    vni_last: int = LAST
    confirm_seconds: float = 120.0

    def __post_init__(self) -> None:
        if not 1 <= self.vni_first <= self.vni_last <= LAST:
            raise ValueError(f"vni_first to vni_last must be within 1 to {LAST}")
        if not 0 < self.confirm_seconds <= LONGEST_PATIENCE:
            raise ValueError(f"confirm_seconds must be within 0 to {LONGEST_PATIENCE:g}")

    @property
    def ranges(self) -> list[Range]:
        """As ranges to search."""
        return [(self.vni_first, self.vni_last)]
