"""Every culprit there is."""

from .blur import BLUR
from .classes import DROPS_A_CLASS, HALF_OF_EACH_CLASS, HONEST, PROTOTYPES, UNEVEN_CLASSES
from .culprit import Culprit

# The honest one first: what detectors say of it are their false alarms.
CULPRITS: tuple[Culprit, ...] = (
    HONEST,
    DROPS_A_CLASS,
    UNEVEN_CLASSES,
    HALF_OF_EACH_CLASS,
    PROTOTYPES,
    BLUR,
)
