"""The scores of a generator that tell images apart: the ends of their metrics' names."""

from typing import Literal, get_args

Score = Literal["likelihood", "reconstruction", "reconstruction_lpips"]
SCORES: tuple[Score, ...] = get_args(Score)
