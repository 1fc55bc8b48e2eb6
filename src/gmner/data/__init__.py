"""Files to Examples: the Twitter sets, our rows in JSONL and Parquet, captions and knowledge, counts and leaks.

Text formats need the standard library and numpy; pyarrow is loaded for Parquet only.
"""

from gmner.data.captions import with_captions, with_descriptions
from gmner.data.formats import read, recognise, write
from gmner.data.knowledge import with_knowledge
from gmner.data.leakage import drop_leaked
from gmner.data.rows import (
    example_from_row,
    iterate_rows,
    prediction_from_row,
    read_examples,
    read_predictions,
    row_from_example,
    row_from_prediction,
    write_rows,
)

__all__ = [
    "drop_leaked",
    "example_from_row",
    "iterate_rows",
    "prediction_from_row",
    "read",
    "read_examples",
    "read_predictions",
    "recognise",
    "row_from_example",
    "row_from_prediction",
    "with_captions",
    "with_descriptions",
    "with_knowledge",
    "write",
    "write_rows",
]
