"""Categories by name, as they come: numbered as MegaDetector numbers them."""

from __future__ import annotations

from grange.pipelines.wildlife.formats.mdreading import MOST_CATEGORIES, refuse
from grange.pipelines.wildlife.results import CATEGORIES

_ALIKE = {"human": "person", "people": "person", "car": "vehicle"}


class Numbers:
    """The numbers of names, given in the order in which the names come."""

    def __init__(self, known: dict[str, str] | None = None) -> None:
        """Begin with these: number to name."""
        self.names = dict(known or {})
        self._numbers = {name: number for number, name in self.names.items()}
        self._next = max((int(number) for number in self.names), default=-1) + 1

    def of(self, name: str) -> str:
        """The number of a name."""
        number = self._numbers.get(name)
        if number is None:
            if len(self.names) >= MOST_CATEGORIES:
                refuse("the file", f"names more than {MOST_CATEGORIES:,} categories")
            number, self._next = str(self._next), self._next + 1
            self._numbers[name] = number
            self.names[number] = name
        return number


class Detected(Numbers):
    """Names of a detector's categories; animal, person and vehicle have their usual numbers."""

    def __init__(self) -> None:
        """Know the usual three."""
        super().__init__(CATEGORIES)

    def of(self, name: str) -> str:
        """The number of a name, in whatever case it is written."""
        plain = name.strip().lower() or "unnamed"
        return super().of(_ALIKE.get(plain, plain))

    def knows(self, name: str) -> bool:
        """Whether it is one of the usual three."""
        plain = name.strip().lower()
        return _ALIKE.get(plain, plain) in CATEGORIES.values()
