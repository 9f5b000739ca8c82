"""What a look at one thing found."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """`mend` is the command or step that helps; a `hint` is worth knowing, but weft runs without it."""

    name: str
    found: str
    mend: str = ""
    hint: bool = False

    @property
    def well(self) -> bool:
        """Whether nothing has to be done."""
        return not self.mend
