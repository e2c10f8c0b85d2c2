"""Settings of inversion."""

from dataclasses import dataclass, replace
from typing import Annotated

from annotated_types import Gt, doc

from .search import SearchMethod, SearchSettings

# Of the fastest restart's rate over the first one's.
_FASTER = 4.0


@dataclass(frozen=True)
class InversionSettings(SearchSettings):
    """Settings of an inversion: Adam from many starts, its rate falling to 0 as a cosine.

    Levenberg-Marquardt ends the best of them, where the squared error is minimised.
    """

    learning_rate: Annotated[
        float,
        Gt(0),
        doc("Adam's rate at the start, of the first restart; the last one's is four times that"),
    ] = 0.1

    def method_of_rates(self) -> SearchMethod:
        """The method, with the learning rate in it."""
        fastest = _FASTER * self.learning_rate
        return replace(self.method, learning_rate=self.learning_rate, fastest=fastest)
