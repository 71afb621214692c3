"""Texts that are empty, cut, mixed up, in old encodings or no table at all; and tables of an awkward layout."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from tests.data.hostile_tables import COUNT, DAYS, NAN, PLAIN, Asked, Case, Reads, Refused, lines, plain

# fmt: off


def texts() -> Iterator[Case]:
    """Line ends, encodings and other kinds of files."""
    whole = plain()
    yield "empty", b"", Refused('is empty; choose a file with a header and rows of')
    yield "blank", b"\n\n  \n\t\n", Refused('is empty; choose a file with a header and rows of')
    yield "one byte", b"x", Refused("has one column ('x')")
    yield "only bom", codecs.BOM_UTF8, Refused('is empty; choose a file with a header and rows of')
    yield "header only", b"ds,y\n", Refused('has a header but no rows')
    yield "header only no newline", b"ds,y", Refused('has a header but no rows')
    yield "one column", b"y\n"+b"".join(b"%d\n"%i for i in range(10)), Refused("has one column ('y')")
    yield "one column of dates", b"ds\n2020-01-01\n2020-01-02\n", Refused("has one column ('ds')")
    yield ("no numeric", lines("ds;a",*[f"{d};x" for d in DAYS]),
           Refused("no column besides 'ds' holds numbers ('a' has 'x'"))
    yield "delims only", b",,,\n,,,\n,,,\n", Refused('holds delimiters and no cells')
    yield "quotes only", b'""\n""\n', Refused('has one column (\'""\')')
    yield "lone quote", b'"', Refused('has one column (\'"\')')
    yield "quote open at start", b'"'+whole, Refused('line 1: a quotation mark is never closed')
    yield "NUL bytes", whole.replace(b"5",b"\0"), Refused("line 2: the character '\\x00' does not belong in a")
    yield "NUL at end", whole+b"\0"*100, Reads(PLAIN)
    yield "NUL all", b"\0"*2000, Refused('is empty; choose a file with a header and rows of')
    yield "ctrl-Z end", whole+b"\x1a", Reads(PLAIN)
    yield ("bell", whole.replace(b"2020-01-03",b"2020-01-03\x07"),
           Refused("line 4: the character '\\x07' does not belong in a"))
    yield "crlf", plain(end="\r\n"), Reads(PLAIN)
    yield "lone cr", plain(end="\r"), Reads(PLAIN)
    yield "mixed ends", whole.replace(b"\n",b"\r\n",3).replace(b"8.5\n",b"8.5\r"), Reads(PLAIN)
    yield "crcrlf", plain(end="\r\r\n"), Reads(PLAIN)
    yield "lfcr", plain(end="\n\r"), Reads(PLAIN)
    yield "nel", plain(end="\x85"), Refused('has a header but no rows')
    yield "u2028", plain(end="\u2028"), Refused('has a header but no rows')
    yield "vt", plain(end="\x0b"), Refused('has a header but no rows')
    yield "ff in the middle", whole.replace(b"2020-01-05",b"\x0c2020-01-05"), Reads(PLAIN)
    yield ("bom middle", whole[:60]+codecs.BOM_UTF8+whole[60:],
           Reads(PLAIN, notes=('Invisible characters are left out',)))
    yield ("bom at line start", whole.replace(b"2020-01-05",codecs.BOM_UTF8+b"2020-01-05"),
           Reads(PLAIN, notes=('Invisible characters are left out',)))
    yield "two boms", codecs.BOM_UTF8*2+whole, Reads(PLAIN)
    yield "bom+quoted header", codecs.BOM_UTF8+whole.replace(b"ds,y",b'"ds","y"'), Reads(PLAIN)
    yield ("concatenated", whole+whole.replace(b"2020-01",b"2020-02"),
           Reads([0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5, 10.5, 11.5, NAN, NAN, NAN, NAN, NAN, NAN, NAN,
            NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5,
            9.5, 10.5, 11.5], notes=('The header stands again between th',)))
    yield "concatenated same", whole+whole, Refused("column 'ds', line 15: the timestamp 2020-01-01 00:")
    yield ("concatenated bom", whole+codecs.BOM_UTF8+whole.replace(b"2020-01",b"2020-02"),
           Reads([0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5, 10.5, 11.5, NAN, NAN, NAN, NAN, NAN, NAN, NAN,
            NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5,
            9.5, 10.5, 11.5], notes=('Invisible characters are left out',)))
    yield "utf16le bom", whole.decode().encode("utf-16"), Reads(PLAIN)
    yield "utf16be bom", codecs.BOM_UTF16_BE+whole.decode().encode("utf-16-be"), Reads(PLAIN)
    yield ("utf16le nobom", whole.decode().encode("utf-16-le"),
           Reads(PLAIN, notes=('The text is read as UTF-16-LE; it',)))
    yield ("utf16be nobom", whole.decode().encode("utf-16-be"),
           Reads(PLAIN, notes=('The text is read as UTF-16-BE; it',)))
    yield "utf16 odd", whole.decode().encode("utf-16")+b"x", Refused('line 14: the text is not UTF-16')
    yield ("utf16 lone surrogate",
            codecs.BOM_UTF16_LE+"ds,y\n".encode("utf-16-le")+b"\x00\xd8"+whole[5:].decode().encode("utf-16-le"),
           Refused('line 2: the text is not UTF-16'))
    yield "utf32", whole.decode().encode("utf-32"), Reads(PLAIN)
    yield "utf7", "ds,größe\n".encode("utf-7")+whole[5:], Reads(PLAIN)
    yield ("utf8 bom says, latin1 is", codecs.BOM_UTF8+"ds,größe\n".encode("latin-1")+whole[5:],
           Refused('line 1: the text is not UTF-8-SIG'))
    yield ("lone surrogate utf8", b"ds,y\xed\xa0\x80\n"+whole[5:],
           Reads(PLAIN, notes=('The file is not UTF-8 (first in li',)))
    yield "overlong", b"ds,y\xc0\xaf\n"+whole[5:], Asked("encoding")
    yield "mojibake", "ds,GrÃ¶ÃŸe\n".encode()+whole[5:], Reads(PLAIN)
    yield "replacement", "ds,Gr\ufffd\ufffde\n".encode()+whole[5:], Reads(PLAIN)
    yield ("mixed encodings", "ds,größe,x\n".encode()+lines(*[f"{d},{i},ü" for i,
            d in enumerate(DAYS)]).decode().encode("latin-1"),
           Asked("encoding"))
    yield ("latin1 header", "ds,Größe\n".encode("latin-1")+whole[5:],
           Reads(PLAIN, notes=('The file is not UTF-8 (first in li',)))
    yield ("cp1250", "ds,Temperatura powietrza Łódź,Ciśnienie\n".encode("cp1250")+lines(*[f"{d},{i},{i}" for i,
            d in enumerate(DAYS)]),
           Asked("encoding"))
    yield ("latin2", "ds,Łódź ciśnienie,średnia\n".encode("iso8859-2")+lines(*[f"{d},{i},{i}" for i,
            d in enumerate(DAYS)]),
           Asked("encoding"))
    yield ("latin2 cz",
            "ds,Teplota vzduchu,Průměrná rychlost větru\n".encode("iso8859-2")+lines(*[f"{d},{i},{i}" for i,
            d in enumerate(DAYS)]),
           Asked("encoding"))
    yield ("koi8", "ds,Температура,Давление\n".encode("koi8-r")+lines(*[f"{d},{i},{i}" for i,d in enumerate(DAYS)]),
           Asked("encoding"))
    yield ("cp1251", "ds,Температура,Давление\n".encode("cp1251")+lines(*[f"{d},{i},{i}" for i,d in enumerate(DAYS)]),
           Asked("encoding"))
    yield ("sjis", "日付,気温,雨量\n".encode("shift-jis")+lines(*[f"{d},{i},{i}" for i,d in enumerate(DAYS)]),
           Asked("encoding"))
    yield ("gb", "日期,温度,雨\n".encode("gb18030")+lines(*[f"{d},{i},{i}" for i, d in enumerate(DAYS)]),
           Asked("encoding"))
    yield ("euckr", "날짜,온도,강수\n".encode("cp949")+lines(*[f"{d},{i},{i}" for i, d in enumerate(DAYS)]),
           Asked("encoding"))
    yield "binary random", bytes(range(256))*20, Refused("line 1: the character '\\x00' does not belong in a")
    yield "png", b"\x89PNG\r\n\x1a\n"+b"\0"*50, Refused('is a picture, not a text table')
    yield "pdf", b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj", Refused('is a PDF document, not a text table')
    yield ("html page",
            b"<!DOCTYPE html><html><body><table><tr><td>2020-01-01</td><td>1</td></tr></table></body></html>",
           Refused('is a web page or XML, not a text table'))
    yield ("html lines", b"<html>\n<body>\n<h1>404 Not Found</h1>\n<p>a, b</p>\n</body>\n</html>\n",
           Refused('is a web page or XML, not a text table'))
    yield ("xml", b"<?xml version='1.0'?>\n<rows>\n<row ds='2020-01-01' y='1'/>\n<row ds='2020-01-02' y='2'/>\n</rows>",
           Refused('is a web page or XML, not a text table'))
    yield ("json records", b'[{"ds":"2020-01-01","y":1.5},{"ds":"2020-01-02","y":2.5},{"ds":"2020-01-03","y":3.5}]',
           Reads([1.5, 2.5, 3.5], notes=('JSON records are counted as lines',)))
    yield ("json lines", b'{"ds":"2020-01-01","y":1.5}\n{"ds":"2020-01-02","y":2.5}\n{"ds":"2020-01-03","y":3.5}\n',
           Reads([1.5, 2.5, 3.5], notes=('JSON records are counted as lines',)))
    yield ("json truncated", b'[{"ds":"2020-01-01","y":1.5},{"ds":"2020-01-0',
           Refused('line 1: the JSON is damaged or ends too early (Unt'))
    yield "json scalar", b'42', Refused("has one column ('42')")
    yield ("json columns", b'{"ds":["2020-01-01","2020-01-02"],"y":[1,2]}',
           Reads([1.0, 2.0], notes=('JSON records are counted as lines',)))
    yield "rtf", b"{\\rtf1\\ansi 2020-01-01,1\\par}", Refused('is an RTF document, not a text table')
    yield ("sql dump",
            b"INSERT INTO t (ds,y) VALUES ('2020-01-01',1);\nINSERT INTO t (ds,y) VALUES ('2020-01-02',2);\n",
           Refused('no column holds timestamps (columns: INSERT INTO t'))
    yield ("md table", b"| ds | y |\n|----|---|\n| 2020-01-01 | 1 |\n| 2020-01-02 | 2 |\n| 2020-01-03 | 3 |\n",
           Reads([1.0, 2.0, 3.0], notes=("Lines of nothing but a ruler ('|--",)))
    yield ("ascii table",
            b"+----+---+\n| ds | y |\n+----+---+\n| 2020-01-01 | 1 |\n| 2020-01-02 | 2 |\n+----+---+\n",
           Reads([1.0, 2.0], notes=("Lines of nothing but a ruler ('+--",)))
    yield "python pickle", b"\x80\x04\x95abc", Refused("line 1: the character '\\x04' does not belong in a")
    yield "elf", b"\x7fELF\x02\x01\x01"+b"\0"*60, Refused('is a program, not a text table')
    yield "sqlite", b"SQLite format 3\0"+b"\0"*80, Refused('is a SQLite database, not a text table')
    yield "sep=;", b"sep=;\n"+plain(";"), Reads(PLAIN, notes=('Line 1 stands above the table, and',))


def layouts() -> Iterator[Case]:
    """Headers, rows, quotation marks and delimiters."""
    whole = plain()
    yield ("dup headers", lines("ds,y,y",*[f"{d},{i},{i}" for i,d in enumerate(DAYS)]),
           Refused("line 1: the column name 'y' stands twice (columns"))
    yield "dup case", lines("ds,y,Y",*[f"{d},{i},{i}" for i,d in enumerate(DAYS)]), Reads(COUNT)
    yield "empty header names", lines("ds,,",*[f"{d},{i},{i}" for i,d in enumerate(DAYS)]), Reads(COUNT)
    yield "all headers empty", lines(",,",*[f"{d},{i},{i}" for i,d in enumerate(DAYS)]), Asked("header")
    yield "blank header names", lines("ds, ,  ",*[f"{d},{i},{i}" for i,d in enumerate(DAYS)]), Reads(COUNT)
    yield ("header name = column 2", lines("ds,,column 2",*[f"{d},{i},{i}" for i,d in enumerate(DAYS)]),
           Refused("line 1: the column name 'column 2' stands twice (c"))
    yield "10000 char header", lines("ds,"+"a"*10000,*[f"{d},{i}" for i,d in enumerate(DAYS)]), Reads(COUNT)
    yield "newline header", lines('ds,"a\nb"',*[f"{d},{i}" for i,d in enumerate(DAYS)]), Reads(COUNT)
    yield "formula header", lines('ds,=HYPERLINK("http://x")',*[f"{d},{i}" for i,d in enumerate(DAYS)]), Reads(COUNT)
    yield "html header", lines('ds,<script>alert(1)</script>',*[f"{d},{i}" for i,d in enumerate(DAYS)]), Reads(COUNT)
    yield "emoji header", lines('ds,🌡️',*[f"{d},{i}" for i,d in enumerate(DAYS)]), Reads(COUNT)
    yield "header dunder", lines('ds,__class__',*[f"{d},{i}" for i,d in enumerate(DAYS)]), Reads(COUNT)
    yield "header ../", lines('ds,../../x',*[f"{d},{i}" for i,d in enumerate(DAYS)]), Reads(COUNT)
    yield "no header", whole[5:], Asked("header")
    yield "no header 1/5/2021", lines(*[f"1/{d}/2021,{d+.5}" for d in range(5,20)]), Asked("header")
    yield "no header numbers", lines(*[f"{d},{d+.5}" for d in range(5,20)]), Asked("header")
    yield "no header parts", lines(*[f"2016 1 1 {h} 0 {h+.5}" for h in range(12)]), Asked("header")
    yield "no header parts comma", lines(*[f"2016,1,{d},{d+.5}" for d in range(1,12)]), Asked("header")
    months, years = "Jan,Feb,Mar,Apr,May,Jun,Jul,Aug,Sep,Oct,Nov,Dec", range(2000, 2004)
    monthly = Reads([100.0 * year + month for year in range(4) for month in range(12)])
    rows = [",".join(map(str, [year, *(100 * (year - 2000) + month for month in range(12))])) for year in years]
    yield "year x month", lines(f"Year,{months}", *rows), monthly
    yield "year x month annual", lines(f"Year,{months},Annual", *[f"{row},5" for row in rows]), monthly
    yield "year x 1..12", lines("Year,1,2,3,4,5,6,7,8,9,10,11,12", *rows), monthly
    yield "first line empty", b'""|\n""\n', Refused("the first line of the table has 2 empty cells")
    yield "all rows have empty cells behind", lines("ds,y", "2020-01-01,1,,", "2020-01-02,2,,"), Reads([1.0, 2.0])
    yield ("bars, one row too long", lines("+----+---+", "| ds | y |", "| 2020-\t| 2020-01-02 | 2 |"),
           Refused("has only one timestamp"))
    yield ("row short", whole.replace(b"2020-01-05,4.5",b"2020-01-05"),
           Reads([0.5, 1.5, 2.5, 3.5, NAN, 5.5, 6.5, 7.5, 8.5, 9.5, 10.5, 11.5],
            notes=('Line 6 has another number of cells',)))
    yield ("row long", whole.replace(b"2020-01-05,4.5",b"2020-01-05,4.5,9,9"),
           Reads([0.5, 1.5, 2.5, 3.5, NAN, 5.5, 6.5, 7.5, 8.5, 9.5, 10.5, 11.5],
            notes=('Line 6 has another number of cells',)))
    yield ("all rows longer", lines("ds,y",*[f"{d},{i},{i}" for i,d in enumerate(DAYS)]),
           Refused('the first line has 2 cells, but none of the 28 lin'))
    yield "trailing delim rows", lines("ds,y",*[f"{d},{i}," for i,d in enumerate(DAYS)]), Reads(COUNT)
    yield "trailing delim all", lines("ds,y,",*[f"{d},{i}," for i,d in enumerate(DAYS)]), Reads(COUNT)
    yield ("swallow 20", lines("ds,y",*[f"{d},{chr(34) if i in (3,23) else ''}{i}" for i,d in enumerate(DAYS)]),
           Refused("line 5: a quotation mark opens in column 'y' and c"))
    yield ("swallow text", lines("ds,y,t",*[f"{d},{i},{chr(34) if i in (3,23) else ''}x" for i,d in enumerate(DAYS)]),
           Refused("line 5: a quotation mark opens in column 't' and c"))
    yield ("swallow semicolon", lines("ds;y",*[f"{d};{chr(34) if i in (3,23) else ''}{i}" for i,d in enumerate(DAYS)]),
           Refused("line 5: a quotation mark opens in column 'y' and c"))
    yield ("swallow ts", lines("ds,y",*[f"{chr(34) if i in (3,23) else ''}{d},{i}" for i,d in enumerate(DAYS)]),
           Refused("line 5: a quotation mark opens in column 'ds' and"))
    yield "unclosed last", whole+b'2020-02-01,"5', Refused('line 14: a quotation mark is never closed')
    yield ("inch mark", lines("ds,y,size",*[f'{d},{i},5"' for i,d in enumerate(DAYS)]),
           Reads(COUNT, notes=("Left out: 'size' (they hold no num",)))
    yield ("backslash quotes", lines("ds,y,t",*[f'{d},{i},"a \\" b"' for i,d in enumerate(DAYS)]),
           Reads(COUNT, notes=("Left out: 't' (they hold no number",)))
    yield ("every row quoted", lines('"ds,y"',*[f'"{d},{i}"' for i,d in enumerate(DAYS)]),
           Reads(COUNT, notes=('Every line is one cell in quotatio',)))
    yield ("smart quotes", lines("ds,y",*[f'“{d}”,“{i}”' for i,d in enumerate(DAYS)]),
           Refused("column 'ds', line 2: '“2020-01-01”' is not a times"))
    yield ("long line", b"ds,y\n2020-01-01,1\n2020-01-02,"+b"9"*2_000_000+b"\n",
           Refused("column 'y', line 3: '99999999999999999999999999999"))
    yield ("long text cell", b"ds,y,t\n2020-01-01,1,a\n2020-01-02,2,"+b"x"*2_000_000+b"\n2020-01-03,3,b\n",
           Reads([1.0, 2.0, 3.0], notes=("Left out: 't' (they hold no number",)))
    yield "one long line no newline", b"a"*3_000_000, Refused("has one column ('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
    yield "one line of delims", b","*300_000, Refused('holds delimiters and no cells')
    yield ("2000 columns", lines("ds,"+",".join(f"c{i}" for i in range(2000)),*[d+",1.5"*2000 for d in DAYS[:4]]),
           Reads([1.5, 1.5, 1.5, 1.5]))
    yield ("60000 columns", lines("ds"+",c"*60000, DAYS[0]+",1"*60000),
           Refused('has 60,001 columns, and at most 50,000 are read'))
    yield ("deep quotes", b"ds,y\n"+b'2020-01-01,'+b'"'*10001+b"\n2020-01-02,1\n",
           Refused('line 2: a quotation mark is never closed'))
    yield ("header wide data narrow", lines("ds,"+",".join(f"c{i}" for i in range(50)),*[f"{d},{i}" for i,
            d in enumerate(DAYS)]),
           Refused('the first line has 51 cells, but none of the 28 li'))
    yield ("single line 50 header",
            (";".join(["ds"]+[f"c{i}" for i in range(50)])+"\r"+"\r".join(";".join([d]+[str(i)]*50) for i,
            d in enumerate(DAYS))).encode(),
           Reads(COUNT))
    yield ("comments everywhere", lines("# a","ds,y","# b","2020-01-01,1","# c","2020-01-02,2","# d","2020-01-03,3"),
           Reads([1.0, 2.0, 3.0], notes=('Line 1 stands above the table, and',)))
    yield "comment mark data", lines("#ds,y",*[f"{d},{i}" for i,d in enumerate(DAYS)]), Reads(COUNT)
    yield ("two tables", whole+b"\n\nname,size,w\na,1,2\nb,2,3\n",
           Reads(PLAIN, notes=('3 lines stand below the table and',)))
    yield ("transposed", lines("ds,"+",".join(DAYS),"a,"+",".join(map(str,range(28))),"b,"+",".join(map(str,
            range(28)))),
           Refused("column 'ds', line 2: 'a' is not a timestamp"))
    yield ("index col", lines(",ds,y",*[f"{i},{d},{i+.5}" for i,d in enumerate(DAYS)]),
           Reads([0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5, 10.5, 11.5, 12.5, 13.5, 14.5, 15.5, 16.5, 17.5,
            18.5, 19.5, 20.5, 21.5, 22.5, 23.5, 24.5, 25.5, 26.5, 27.5], notes=("Left out: 'column 1' (they hold no",)))
    yield ("spaces", lines("ds y",*[f"{d}   {i}.5" for i,d in enumerate(DAYS)]),
           Reads([0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5, 10.5, 11.5, 12.5, 13.5, 14.5, 15.5, 16.5, 17.5,
            18.5, 19.5, 20.5, 21.5, 22.5, 23.5, 24.5, 25.5, 26.5, 27.5]))
    yield "fixed width", lines("ds          y",*[f"{d}{i:6.1f}" for i,d in enumerate(DAYS)]), Reads(COUNT)
    yield "caret", lines("ds^y",*[f"{d}^{i}.5" for i,d in enumerate(DAYS)]), Refused("has one column ('ds^y')")
    yield ("double bar", lines("ds||y",*[f"{d}||{i}.5" for i,d in enumerate(DAYS)]),
           Reads([0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5, 10.5, 11.5, 12.5, 13.5, 14.5, 15.5, 16.5, 17.5,
            18.5, 19.5, 20.5, 21.5, 22.5, 23.5, 24.5, 25.5, 26.5, 27.5]))
    yield ("comma space", lines("ds, y",*[f"{d}, {i}.5" for i,d in enumerate(DAYS)]),
           Reads([0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5, 10.5, 11.5, 12.5, 13.5, 14.5, 15.5, 16.5, 17.5,
            18.5, 19.5, 20.5, 21.5, 22.5, 23.5, 24.5, 25.5, 26.5, 27.5]))
    yield ("x01", lines("ds\x01y",*[f"{d}\x01{i}.5" for i,d in enumerate(DAYS)]),
           Refused("line 1: the character '\\x01' does not belong in a"))
    yield "record sep x1e", whole+b"\x1e", Refused("line 14: the character '\\x1e' does not belong in a")
    yield ("fullwidth comma", lines("ds，y",*[f"{d}，{i}.5" for i,d in enumerate(DAYS)]),
           Refused("has one column ('ds，y')"))
    yield "blank lines between", whole.replace(b"\n",b"\n\n"), Reads(PLAIN)
    yield "many blank lines", whole.replace(b"2020-01-05",b"\n"*3000+b"2020-01-05"), Reads(PLAIN)
    yield "preamble 3000", b"note line here\n"*3000+whole, Refused("has one column ('note line here')")
    yield ("wide first row", lines("ds,y",*[f"{d},{i}" for i,d in enumerate(DAYS)]).replace(b"01,0", b"01,0,,,,"),
           Reads(COUNT, notes=("Line 2 has empty cells at the end",)))
    yield ("id nan", lines("unique_id,ds,y",*[f"{'a' if i%3 else ''},{d},{i}" for i,d in enumerate(DAYS)]),
           Refused("column 'unique_id', line 2: the series ID is missi"))
    yield ("id ../", lines("unique_id,ds,y",*[f"../{'ab'[i%2]},{DAYS[i//2]},{i}" for i in range(28)]),
           Reads([0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0, 22.0, 24.0, 26.0],
            notes=('Read as a long table: series IDs i',)))
    yield ("long two series", lines("unique_id,ds,y",*[f"{'ab'[i%2]},{DAYS[i//2]},{i}" for i in range(28)]),
           Reads([0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0, 22.0, 24.0, 26.0],
            notes=('Read as a long table: series IDs i',)))
