"""Malformed and hostile files by name: what stands in tables that people and machines wrote wrongly, or meant badly.

Each is small. What must come of it stands beside it: the values of its first channel, an error's words, or the setting
that answers a question.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tests.data.hostile_cells import numbers, times
from tests.data.hostile_tables import DAYS, NAN, PLAIN, Asked, Case, Outcome, Reads, Refused, plain
from tests.data.hostile_texts import layouts, texts


def cases() -> dict[str, tuple[bytes, Outcome]]:
    """All files by name."""
    groups = {
        "numbers": numbers(), "times": times(), "texts": texts(), "layouts": layouts(), "containers": containers()
    }  # fmt: skip
    return {f"{group}: {name}": (content, outcome) for group, some in groups.items() for name, content, outcome in some}


def zipped(**files: bytes) -> bytes:
    """A zip archive; two underscores in a name are a point."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "."), content)
    return out.getvalue()


def parquet(columns: dict[str, Any]) -> bytes:
    """A Parquet file."""
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(pd.DataFrame(columns), preserve_index=False), out)
    return out.getvalue()


# fmt: off


def containers() -> Iterator[Case]:
    """Archives and binary tables."""
    whole = plain()
    yield "gzip", gzip.compress(whole), Reads(PLAIN)
    yield "gzip trunc", gzip.compress(whole)[:-20], Refused('is a gzip file that ends too early')
    yield "gzip 3 bytes", gzip.compress(whole)[:3], Refused('is a gzip file that ends too early')
    yield "gzip crc", gzip.compress(whole)[:-6]+b"abcdef", Refused('is a damaged gzip file')
    yield "gzip trailing junk", gzip.compress(whole)+b"junk", Reads(PLAIN)
    yield ("gzip of gzip", gzip.compress(gzip.compress(whole)),
           Refused('is a gzip file within another one, not a text tabl'))
    yield ("gzip of zip", gzip.compress(zipped(a__csv=whole)),
           Refused('is a zip archive or workbook within another one, n'))
    yield "gzip empty", gzip.compress(b""), Refused('is empty; choose a file with a header and rows of')
    yield "zip", zipped(a__csv=whole), Reads(PLAIN)
    packed = zipped(a__csv=whole)
    yield "zip lost bytes", packed[:40] + packed[51:], Refused("is a damaged or encrypted zip archive")
    yield "zip trunc", zipped(a__csv=whole)[:-30], Refused('is a damaged or encrypted zip archive')
    yield "zip two", zipped(a__csv=whole,b__csv=whole), Asked("sheet")
    yield "zip none", zipped(a__png=whole), Refused('holds no table ending in .csv, .txt, .tsv or .json')
    yield "zip empty", zipped(), Refused('is an empty zip archive, not a text table')
    yield ("zip of zip", zipped(a__csv=zipped(b__csv=whole)),
           Refused('is a zip archive or workbook within another one, n'))
    yield ("zip of zip named", zipped(a__zip=zipped(b__csv=whole)),
           Refused('holds no table ending in .csv, .txt, .tsv or .json'))
    yield ("zip in it gz", zipped(a__csv__gz=gzip.compress(whole)),
           Refused('holds no table ending in .csv, .txt, .tsv or .json'))
    yield ("zip gz as csv", zipped(a__csv=gzip.compress(whole)),
           Refused('is a gzip file within another one, not a text tabl'))
    yield "zip ../", zipped(**{"../../evil__csv": whole}), Reads(PLAIN)
    yield "zip empty file", zipped(a__csv=b""), Refused('is empty; choose a file with a header and rows of')
    yield "zip folder", zipped(**{"d/":b"","d/a__csv":whole}), Reads(PLAIN)
    yield "zip ctrl name", zipped(**{"a\nb\x1b__csv":whole,"c__csv":whole}), Asked("sheet")
    yield ("xlsx faked", zipped(**{"xl/workbook__xml":b"<x/>","[Content_Types]__xml":b"<x/>"}),
           Refused('is a damaged workbook, or none'))
    yield "ods faked", zipped(content__xml=b"<x/>"), Refused('is a damaged workbook, or none')
    yield "ole junk", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"+b"\0"*600, Refused('is a damaged workbook, or none')
    yield "parquet", parquet({"ds":pd.to_datetime(DAYS[:12]),"y":PLAIN}), Reads(PLAIN)
    p=parquet({"ds":pd.to_datetime(DAYS[:12]),"y":PLAIN})
    yield "parquet trunc", p[:-30], Refused('is a damaged Parquet file')
    yield "parquet head only", b"PAR1", Refused('is a damaged Parquet file')
    yield "parquet PAR1PAR1", b"PAR1"*3, Refused('is a damaged Parquet file')
    yield "parquet footer len", p[:-8]+b"\xff\xff\xff\x7fPAR1", Refused('is a damaged Parquet file')
    yield "parquet flipped", p[:20]+bytes(255-b for b in p[20:60])+p[60:], Refused('is a damaged Parquet file')
    yield ("parquet no rows", parquet({"ds":pd.to_datetime([]),"y":[]}),
           Refused('holds 0 rows of 2 plain columns (lists, records an'))
    yield ("parquet nested", parquet({"ds":pd.to_datetime(DAYS[:3]),"y":[[1],[2],[3]]}),
           Refused('holds 3 rows of 1 plain columns (lists, records an'))
    yield ("parquet bytes", parquet({"ds":pd.to_datetime(DAYS[:3]),"y":[b"1",b"2",b"3"]}),
           Refused('holds 3 rows of 1 plain columns (lists, records an'))
    yield "parquet text dates", parquet({"ds":DAYS[:12],"y":PLAIN}), Reads(PLAIN)
    yield ("parquet tz", parquet({"ds":pd.to_datetime(DAYS[:12]).tz_localize("Europe/Berlin"),"y":PLAIN}),
           Reads(PLAIN, notes=("Timestamps in column 'ds' are all",)))
    yield ("parquet inf", parquet({"ds":pd.to_datetime(DAYS[:3]),"y":[1,float("inf"),2]}),
           Refused("column 'y', line 3: 'inf' is not a finite number"))
    yield "parquet nan", parquet({"ds":pd.to_datetime(DAYS[:3]),"y":[1,float("nan"),2]}), Reads([1.0, NAN, 2.0])
    yield "feather", b"ARROW1\0\0"+b"\0"*100, Refused('is a Feather file, not a text table')
    yield "zstd", b"\x28\xb5\x2f\xfd"+b"\0"*50, Refused('is a Zstandard file, not a text table')
    yield "bz2", bz2.compress(whole), Refused('is a bzip2 file, not a text table')
    yield "xz", lzma.compress(whole), Refused('is an xz file, not a text table')
    yield "7z", b"7z\xbc\xaf\x27\x1c"+b"\0"*50, Refused('is a 7z archive, not a text table')
    yield "tar", b"a.csv"+b"\0"*507+whole, Refused("line 1: the character '\\x00' does not belong in a")
