"""What is written down of a trained classifier, and the table of the annotator."""

import pyarrow as pa

from .schema import ListColumn, TableSchema

# One row a classifier. source is what it was trained on (real, generated, or real and generated):
# 1/factor of the real images, or multiple times as many generated ones, of which repeat is another
# draw and another seed. Confusions are counts [class, label], row-major. test_correct is whether
# each held-out image was labelled rightly, in the order of the set.
MODEL_COLUMNS = (
    ("architecture", pa.string()),
    ("source", pa.string()),
    ("factor", pa.int32()),
    ("multiple", pa.int32()),
    ("repeat", pa.int32()),
    ("images", pa.int64()),
    ("converged", pa.bool_()),
    ("rounds", pa.int32()),
    ("loss", pa.float64()),
    ("train_accuracy", pa.float64()),
    ("test_accuracy", pa.float64()),
    ("train_confusion", pa.list_(pa.int64())),
    ("test_confusion", pa.list_(pa.int64())),
    ("test_correct", pa.list_(pa.bool_())),
)

MODEL_ALWAYS = ("test_accuracy",)
MODEL_LISTS = (
    ListColumn("train_confusion", ("test_confusion",)),
    ListColumn("test_confusion"),
    ListColumn("test_correct"),
)

# weights are the classifier's floating-point tensors in the order of its state, one after another.
ANNOTATOR_TABLE = TableSchema(
    "annotator",
    1,
    (*MODEL_COLUMNS, ("weights", pa.list_(pa.float32()))),
    always=MODEL_ALWAYS,
    lists=(*MODEL_LISTS, ListColumn("weights", ())),
)
