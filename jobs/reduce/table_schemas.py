"""The tables that reducers read, by name."""

from collections.abc import Mapping

from ...workers.inversion import INVERSION_TABLE
from ...workers.likelihood import (
    COMPARISON_TABLE,
    CONVERGENCE_TABLE,
    LIKELIHOOD_TABLE,
    NULL_LIKELIHOOD_TABLE,
    SWEEP_TABLE,
)
from ...workers.local_variation import LOCAL_VARIATION_TABLE
from ...workers.neighbours import NEIGHBOURS_TABLE
from ...workers.patch_fit import PATCH_FIT_TABLE
from ...workers.patch_gmm import PATCH_GMM_TABLE
from ...workers.ppca import PPCA_TABLE
from ...workers.reconstruction import PERCEPTUAL_TABLE
from ...workers.schema import TableSchema
from ...workers.sensing import SENSING_TABLE
from ...workers.stored_images import IMAGES_TABLE
from ...workers.tuning import TUNING_TABLE
from ...workers.variance import NULL_VARIANCE_TABLE, VARIANCE_TABLE
from ...workers.variance_fit import NULL_FIT_TABLE, VARIANCE_FIT_TABLE

SCHEMAS: Mapping[str, TableSchema] = {
    table.name: table
    for table in (
        IMAGES_TABLE,
        INVERSION_TABLE,
        PERCEPTUAL_TABLE,
        VARIANCE_FIT_TABLE,
        VARIANCE_TABLE,
        NULL_FIT_TABLE,
        NULL_VARIANCE_TABLE,
        TUNING_TABLE,
        LIKELIHOOD_TABLE,
        NULL_LIKELIHOOD_TABLE,
        COMPARISON_TABLE,
        CONVERGENCE_TABLE,
        SWEEP_TABLE,
        NEIGHBOURS_TABLE,
        PATCH_FIT_TABLE,
        PATCH_GMM_TABLE,
        LOCAL_VARIATION_TABLE,
        PPCA_TABLE,
        SENSING_TABLE,
    )
}
