"""An export as a folder of Parquet files in Hive partitions by day and language, for DuckDB, Polars, Dask and Spark."""

# pyarrow has no type hints.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false

from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

BY: Final = ("day", "language")
_UNDETERMINED: Final = "und"
"""BCP 47 for an unknown language. Dask and pandas fail on the folder of a null (`__HIVE_DEFAULT_PARTITION__`)."""
_GROUP_ROWS: Final = 65_536
_OPEN_FILES: Final = 100


def partition(stream: Path, folder: Path) -> None:
    """Write an Arrow stream to `folder/day=…/language=…/*.parquet`. The day is that of `stored_at`, in UTC.

    The language of messages without one is `und`.
    """
    with pa.memory_map(str(stream)) as source:
        reader = pa.ipc.open_stream(source)
        ds.write_dataset(
            (_plain(batch) for batch in reader),
            folder,
            schema=_plain(pa.RecordBatch.from_pylist([], schema=reader.schema)).schema,
            format="parquet",
            partitioning=ds.partitioning(pa.schema([(name, pa.string()) for name in BY]), flavor="hive"),
            max_rows_per_group=_GROUP_ROWS,
            max_open_files=_OPEN_FILES,
            file_options=ds.ParquetFileFormat().make_write_options(compression="zstd"),
        )


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch with a column `day`, and dictionary columns as strings: dictionaries differ between batches."""
    for place, field in enumerate(batch.schema):
        if pa.types.is_dictionary(field.type):
            batch = batch.set_column(place, field.name, batch.column(place).cast(pa.string()))
    place = batch.schema.get_field_index("language")
    languages = pc.fill_null(batch.column(place), _UNDETERMINED)  # pyright: ignore[reportAttributeAccessIssue]
    batch = batch.set_column(place, "language", languages)
    days = pc.strftime(batch.column(batch.schema.get_field_index("stored_at")), "%Y-%m-%d")  # pyright: ignore[reportAttributeAccessIssue]
    return batch.append_column("day", days)
