"""Columns of numbers and of timestamps as people, programs and strangers write them."""

from __future__ import annotations

from collections.abc import Iterator

from tests.data.hostile_tables import NAN, PLAIN, Asked, Case, Reads, Refused, column, stamps

# fmt: off


def numbers() -> Iterator[Case]:
    """Awkward numbers, one a day."""
    yield "thousands points, comma", column("1.234.567,8","2.345,5","3,25","4"), Reads([1234567.8, 2345.5, 3.25, 4.0])
    yield "swiss apostrophe", column("1'234.5","2'345.25","3","4"), Reads([1234.5, 2345.25, 3.0, 4.0])
    yield "typographic apostrophe", column("1’234.5","2’345.25","3","4"), Reads([1234.5, 2345.25, 3.0, 4.0])
    yield ("brackets", column("(12)","13","(1,234.50)","4.5"),
           Reads([-12.0, 13.0, -1234.5, 4.5], notes=("Column 'y': '(12)' is read as -12.",)))
    yield ("brackets all", column("(12)","(13)","(14)","(15)"),
           Reads([-12.0, -13.0, -14.0, -15.0], notes=("Column 'y': '(12)' is read as -12.",)))
    yield ("percent", column("12%","13.5%","14 %","-3%"),
           Reads([12.0, 13.5, 14.0, -3.0], notes=("Column 'y': '12%' is read as 12, '",)))
    yield ("percent comma", column("12,5%","13,25%","14 %","-3%"),
           Reads([12.5, 13.25, 14.0, -3.0], notes=("Column 'y': '12,5%' is read as 12,",)))
    yield "mixed percent", column("12%","13.5","14 %","-3"), Refused("column 'y', line 2: '12%' is not a number")
    yield ("euro front", column("€12","€13.5","€1,234.50","€-3"),
           Reads([12.0, 13.5, 1234.5, -3.0], notes=("Column 'y': '€12' is read as 12, '",)))
    yield ("euro back", column("12,50 €","1.313,00 €","14,00 €","-3,00 €"),
           Reads([12.5, 1313.0, 14.0, -3.0], notes=("Column 'y': '12,50 €' is read as 1",)))
    yield ("dollar", column("$12","$13.5","$1,234.50","-$3"),
           Reads([12.0, 13.5, 1234.5, -3.0], notes=("Column 'y': '$12' is read as 12, '",)))
    yield ("mixed currencies", column("$12","€13.5","£14","$3"),
           Refused("no column besides 'ds' holds numbers ('y' has '$12"))
    yield ("EUR word", column("EUR 12","EUR 13.5","EUR 14","EUR 3"),
           Reads([12.0, 13.5, 14.0, 3.0], notes=("Column 'y': 'EUR 12' is read as 12",)))
    yield ("USD after", column("12 USD","13.5 USD","14 USD","3 USD"),
           Reads([12.0, 13.5, 14.0, 3.0], notes=("Column 'y': '12 USD' is read as 12",)))
    yield ("pound", column("£1,200","£1,300","£1,250.5","£900"),
           Reads([1200.0, 1300.0, 1250.5, 900.0], notes=("Column 'y': '£1,200' is read as 1,",)))
    yield ("chf", column("CHF 1'200.50","CHF 1'300.00","CHF 900.00","CHF 5.05"),
           Reads([1200.5, 1300.0, 900.0, 5.05], notes=("Column 'y': 'CHF 1'200.50' is read",)))
    yield "ambiguous", column("1,234","2,345","3,456","4,567"), Asked("decimal")
    yield "ambiguous point", column("1.234","2.345","3.456","4.567"), Asked("decimal")
    yield "nbsp", column("1\u00a0234,5","2\u00a0345,5","3,5","4"), Reads([1234.5, 2345.5, 3.5, 4.0])
    yield "thin", column("1\u202f234,5","2\u202f345,5","3,5","4"), Reads([1234.5, 2345.5, 3.5, 4.0])
    yield "thin2009", column("1\u2009234,5","2\u2009345,5","3,5","4"), Reads([1234.5, 2345.5, 3.5, 4.0])
    yield ("indian", column("12,34,567.5","1,23,456.0","3.5","4"),
           Refused("column 'y', line 2: '12,34,567.5' is not a number"))
    yield "both ways", column("1,234.5","1.234,5","3","4"), Refused("column 'y' has decimal commas ('1.234,5', line 3)")
    yield "comma in comma unquoted", column("12","1,5","3","4",mark=","), Asked("ragged")
    yield ("lost delimiter", column("1234,10","12,5","3,25","4,5",mark=","),
           Refused('the first line has 2 cells, but none of the 4 line'))
    yield ("unicode minus", column("−1.5","−2.5","3","4"),
           Reads([-1.5, -2.5, 3.0, 4.0], notes=("Column 'y': '−1.5' is read as -1.5",)))
    yield ("en dash minus", column("–1.5","–2.5","3","4"),
           Reads([-1.5, -2.5, 3.0, 4.0], notes=("Column 'y': '–1.5' is read as -1.5",)))
    yield ("minus after", column("1.5-","2.5-","3","4"),
           Reads([-1.5, -2.5, 3.0, 4.0], notes=("Column 'y': '1.5-' is read as -1.5",)))
    yield ("fullwidth digits", column("１２","１３","１４","１５"),
           Reads([12.0, 13.0, 14.0, 15.0], notes=("Column 'y': '１２' is read as 12.",)))
    yield ("arabic digits", column("١٢","١٣","١٤","١٥"),
           Reads([12.0, 13.0, 14.0, 15.0], notes=("Column 'y': '١٢' is read as 12.",)))
    yield "superscript", column("1²","2","3","4"), Refused("column 'y', line 2: '1²' is not a number")
    yield "hex", column("0x10","0x11","0x12","0x13"), Refused("no column besides 'ds' holds numbers ('y' has '0x1")
    yield "1e308", column("1e308","1","2","3"), Refused("column 'y' holds 1e+308 at 2020-01-01 00:00:00")
    yield "-1e308", column("-1e308","1","2","3"), Refused("column 'y' holds -1e+308 at 2020-01-01 00:00:00")
    yield "1e309", column("1e309","1","2","3"), Refused("column 'y', line 2: '1e309' is not a finite number")
    yield "1e-400", column("1e-400","1","2","3"), Reads([0.0, 1.0, 2.0, 3.0])
    yield "inf", column("inf","1","2","3"), Refused("column 'y', line 2: 'inf' is not a finite number")
    yield "-Infinity", column("-Infinity","1","2","3"), Refused("column 'y', line 2: '-Infinity' is not a finite nu")
    yield "infinity sign", column("∞","1","2","3"), Asked("missing_codes")
    yield "only nan", column("NaN","NaN","NaN","NaN"), Refused("no column besides 'ds' holds numbers (every cell i")
    yield "only blank", column("","","",""), Refused("no column besides 'ds' holds numbers (every cell i")
    yield "nan and one", column("NaN","NaN","3","NaN"), Reads([NAN, NAN, 3.0, NAN])
    yield ("booleans", column("true","false","true","true"),
           Refused("no column besides 'ds' holds numbers ('y' has 'tru"))
    yield "yes no", column("yes","no","yes","yes"), Refused("no column besides 'ds' holds numbers ('y' has 'yes")
    yield "fractions", column("1/2","1/4","3/4","1/8"), Refused("no column besides 'ds' holds numbers ('y' has '1/2")
    yield "plus", column("+1","+2","+3","-4"), Reads([1.0, 2.0, 3.0, -4.0])
    yield "double minus", column("--1","2","3","4"), Refused("column 'y', line 2: '--1' is not a number")
    yield "leading zeros", column("007","008","009","010"), Reads([7.0, 8.0, 9.0, 10.0])
    yield "leading zeros thousands", column("0.123","0.234","0.345","0.456"), Reads([0.123, 0.234, 0.345, 0.456])
    yield "exp capital", column("1E3","1.5E+3","2e-1","3"), Reads([1000.0, 1500.0, 0.2, 3.0])
    yield ("fortran D", column("1.0D+03","2.0D+03","3.0D+03","4.0D+03"),
           Refused("no column besides 'ds' holds numbers ('y' has '1.0"))
    yield "lone point", column("1.",".5","-.5","2"), Reads([1.0, 0.5, -0.5, 2.0])
    yield ("underscore", column("1_000","2_000","3_000","4_000"),
           Refused("no column besides 'ds' holds numbers ('y' has '1_0"))
    yield ("units", column("12 kW","13 kW","14.5 kW","15 kW"),
           Reads([12.0, 13.0, 14.5, 15.0], notes=("Column 'y': '12 kW' is read as 12.",)))
    yield "units one", column("12 kW","13","14.5","15"), Refused("column 'y', line 2: '12 kW' is not a number")
    yield "approx", column("~12","13","14","15"), Refused("column 'y', line 2: '~12' is not a number")
    yield ("less than", column("<0.5","13","14","15","16","17","18","19","20","21","22","23","24","25"),
           Refused("column 'y', line 2: '<0.5' is not a number"))
    yield "quality flag", column("12*","13","14","15"), Refused("column 'y', line 2: '12*' is not a number")
    yield "stars", column("***","13","14","15"), Asked("missing_codes")
    yield ("17 digits", column("0.1234567890123456789","12345678901234567","3","4"),
           Reads([0.12345678901234568, 1.2345678901234568e+16, 3.0, 4.0]))
    yield ("long int", column("123456789012345678901234567890","1","3","4"),
           Reads([1.2345678901234568e+29, 1.0, 3.0, 4.0]))
    yield "5000 digits", column("1"*5000,"1","3","4"), Refused("column 'y', line 2: '11111111111111111111111111111")
    yield "denormal", column("5e-324","1","3","4"), Reads([5e-324, 1.0, 3.0, 4.0])
    yield "formula", column("=1+1","13","14","15"), Refused("column 'y', line 2: '=1+1' is not a number")
    yield ("formula DDE", column("=cmd|' /C calc'!A0","13","14","15"),
           Refused("column 'y', line 2: '=cmd|' /C calc'!A0' is not a"))
    yield "excel err", column("#DIV/0!","13","14","15"), Refused("column 'y', line 2: '#DIV/0!' is not a number")
    yield "excel err x3", column("#DIV/0!","#DIV/0!","#DIV/0!","15","16","17","18"), Asked("missing_codes")
    yield "hash", column("####","####","####","15","16","17"), Asked("missing_codes")
    yield "dash", column("-","13","14","15"), Asked("missing_codes")
    yield "-999", column("-999","-999","-999",*map(str,range(1,20))), Asked("missing_codes")
    yield "-200", column("-200","-200","-200",*map(str,range(1,20))), Asked("missing_codes")
    yield "9999", column("9999","9999","9999",*map(str,range(1,20))), Asked("missing_codes")
    yield "quoted numbers", column('"1"','"2"','"3"','"4"'), Reads([1.0, 2.0, 3.0, 4.0])
    yield ("single quotes", column("'1'","'2'","'3'","'4'"),
           Refused("no column besides 'ds' holds numbers ('y' has ''1'"))
    yield "apostrophe excel", column("'1","'2","'3","'4"), Refused("no column besides 'ds' holds numbers ('y' has ''1'")
    yield "quoted comma in comma", column('"1,5"','"2,5"','"3,25"','"4"',mark=","), Reads([1.5, 2.5, 3.25, 4.0])
    yield "NULL bytes as text", column("\\N","13","14","15"), Refused("column 'y', line 2: '\\N' is not a number")
    yield "html", column("<b>1</b>","2","3","4"), Refused("column 'y', line 2: '<b>1</b>' is not a number")
    yield "sql", column("1; DROP TABLE x","2","3","4",mark=","), Refused("column 'y', line 2: '1")
    yield ("json cell", column('{"a":1}',"2","3","4",mark="\t"),
           Refused('column \'y\', line 2: \'{"a":1}\' is not a number'))
    yield ("blanks inside", column("1 2","3 4","5 6","7 8"),
           Refused("no column besides 'ds' holds numbers ('y' has '1 2"))
    yield "1 000", column("1 000","2 000","3 000","4 000"), Reads([1000.0, 2000.0, 3000.0, 4000.0])
    yield ("zero-width", column("\u200b1","2","3","4"),
           Reads([1.0, 2.0, 3.0, 4.0], notes=('Invisible characters are left out',)))
    yield ("rtl", column("\u202e1","2","3","4"),
           Reads([1.0, 2.0, 3.0, 4.0], notes=('Invisible characters are left out',)))
    yield "nbsp cell", column("\u00a01\u00a0","2","3","4"), Reads([1.0, 2.0, 3.0, 4.0])


def times() -> Iterator[Case]:
    """Awkward timestamps, beside 0.5, 1.5 ..."""
    yield ("hour 24", stamps("2020-01-01 22:00","2020-01-01 23:00","2020-01-01 24:00","2020-01-02 01:00"),
           Reads(PLAIN[:4], "2020-01-01 22:00:00", notes=('24:00 is read as 00:00 of the next',)))
    yield ("hour 25", stamps("2020-01-01 22:00","2020-01-01 23:00","2020-01-01 25:00","2020-01-02 01:00"),
           Refused("column 'ds', line 4: '2020-01-01 25:00' is not a t"))
    yield ("24:30", stamps("2020-01-01 22:30","2020-01-01 23:30","2020-01-01 24:30","2020-01-02 01:30"),
           Refused("column 'ds', line 4: '2020-01-01 24:30' is not a t"))
    yield ("leap second", stamps("2016-12-31 23:59:58","2016-12-31 23:59:59","2016-12-31 23:59:60",
            "2017-01-01 00:00:00"),
           Refused("column 'ds', line 4: '2016-12-31 23:59:60' is not"))
    yield ("minute 60", stamps("2020-01-01 22:60","2020-01-01 23:00"),
           Refused("column 'ds', line 2: '2020-01-01 22:60' is not a t"))
    yield ("year 0", stamps("0000-01-01","0000-01-02","0000-01-03"),
           Refused("column 'ds', line 2: '0000-01-01' is in the year 0"))
    yield "year 1", stamps("0001-01-01","0001-01-02","0001-01-03"), Reads(PLAIN[:3], "0001-01-01 00:00:00")
    yield "year 9999", stamps("9999-12-30","9999-12-31"), Refused("column 'ds', line 2: '9999-12-30' is in the year 9")
    yield ("year 9999 fill", stamps("2020-01-01","2020-01-02","9999-12-31","2020-01-03"),
           Refused("column 'ds', line 4: '9999-12-31' is in the year 9"))
    yield ("year 10000", stamps("10000-01-01","10000-01-02"),
           Refused("column 'ds', line 2: '10000-01-01' is not a timest"))
    yield ("year 292278", stamps("292278-01-01","292278-01-02"),
           Refused("column 'ds', line 2: '292278-01-01' is not a times"))
    yield "negative", stamps("-2020-01-01","-2020-01-02"), Refused("column 'ds', line 2: '-2020-01-01' is not a timest")
    yield "1677", stamps("1600-01-01","1600-01-02","1600-01-03"), Reads(PLAIN[:3], "1600-01-01 00:00:00")
    yield ("feb 30", stamps("2020-02-28","2020-02-29","2020-02-30"),
           Refused("column 'ds', line 4: '2020-02-30' is not a timesta"))
    yield ("feb 29 wrong year", stamps("2021-02-27","2021-02-28","2021-02-29"),
           Refused("column 'ds', line 4: '2021-02-29' is not a timesta"))
    yield ("month 13", stamps("2020-12-01","2020-13-01","2020-14-01"),
           Refused("column 'ds', line 3: '2020-13-01' is not a timesta"))
    yield "day first and 13", stamps("13/01/2020","14/01/2020","15/01/2020"), Reads(PLAIN[:3], "2020-01-13 00:00:00")
    yield ("mixed order", stamps("01/13/2020","13/01/2020","01/15/2020"),
           Refused("column 'ds', line 3: '13/01/2020' is not a timesta"))
    yield "01/02/2024", stamps("01/02/2024","02/02/2024","03/02/2024"), Reads(PLAIN[:3], "2024-02-01 00:00:00")
    yield "12 months ambiguous", stamps("01/02/2024","01/03/2024","01/04/2024"), Asked("date_order")
    yield ("epoch s", stamps(*[str(1577836800+3600*k) for k in range(6)]),
           Reads(PLAIN[:6], "2020-01-01 00:00:00", notes=('Timestamps are read as seconds sin',)))
    yield ("epoch ms", stamps(*[str(1577836800000+3600000*k) for k in range(6)]),
           Reads(PLAIN[:6], "2020-01-01 00:00:00", notes=('Timestamps are read as millisecond',)))
    yield ("epoch mix", stamps(*[str((1577836800+3600*k)*(1000 if k>2 else 1)) for k in range(6)]),
           Refused("column 'ds', line 5: '1577847600000' is not a time"))
    yield ("epoch float", stamps(*[str(1577836800+3600*k)+".0" for k in range(6)]),
           Reads(PLAIN[:6], "2020-01-01 00:00:00", notes=('Timestamps are read as seconds sin',)))
    yield ("epoch sci", stamps(*["1.577836800e9","1.577840400e9"]),
           Refused("column 'ds', line 2: '1.577836800e9' is not a time"))
    yield ("epoch negative", stamps(*[str(-86400*k) for k in range(1,6)]),
           Refused("column 'ds', line 2: '-86400' is not a timestamp"))
    yield ("serial", stamps(*[str(43831+k) for k in range(6)]),
           Reads(PLAIN[:6], "2020-01-01 00:00:00", notes=('Timestamps are days since 1899-12-',)))
    yield ("serial with time", stamps(*[str(43831+k/24)[:12] for k in range(6)]),
           Reads(PLAIN[:6], "2020-01-01 00:00:00", notes=('Timestamps are days since 1899-12-',)))
    yield ("serial comma", stamps(*[str(43831+k/4).replace(".",",") for k in range(6)]),
           Refused("column 'ds', line 2: '43831,0' is not a timestamp"))
    yield ("mixed zones", stamps("2020-01-01T00:00+01:00","2020-01-01T01:00Z","2020-01-01T02:00-05:00"),
           Reads([0.5, 1.5, NAN, NAN, 2.5], "2019-12-31 23:00:00", notes=("Timestamps in column 'ds' carry UT",)))
    yield ("some without zone", stamps("2020-01-01T00:00Z","2020-01-01T01:00","2020-01-01T02:00Z"),
           Refused("column 'ds', line 3: '2020-01-01T01:00' has no UTC"))
    yield ("zone name", stamps("2020-01-01 00:00 CET","2020-01-01 01:00 CET","2020-01-01 02:00 CET"),
           Refused("column 'ds', line 2: '2020-01-01 00:00 CET' is not"))
    yield ("zone bracket", stamps("2020-01-01T00:00+01:00[Europe/Berlin]","2020-01-01T01:00+01:00[Europe/Berlin]"),
           Reads(PLAIN[:2], "2019-12-31 23:00:00", notes=("Timestamps in column 'ds' carry UT",)))
    yield ("offset 25", stamps("2020-01-01T00:00+25:00","2020-01-01T01:00+25:00"),
           Refused("column 'ds', line 2: '2020-01-01T00:00+25:00' has"))
    yield ("duplicates", stamps("2020-01-01","2020-01-01","2020-01-02","2020-01-03"),
           Refused("column 'ds', line 3: the timestamp 2020-01-01 00:0"))
    yield ("unsorted", stamps("2020-01-03","2020-01-01","2020-01-02","2020-01-04"),
           Reads([1.5, 2.5, 0.5, 3.5], "2020-01-01 00:00:00", notes=('Rows were out of order in 1 places',)))
    yield ("newest first", stamps("2020-01-04","2020-01-03","2020-01-02","2020-01-01"),
           Reads([3.5, 2.5, 1.5, 0.5], "2020-01-01 00:00:00", notes=('Rows stood newest first; they are',)))
    yield "all the same", stamps(*["2020-01-01"]*5), Refused("column 'ds', line 3: the timestamp 2020-01-01 00:0")
    yield "one row", stamps("2020-01-01"), Refused('has only one timestamp (2020-01-01 00:00:00)')
    yield ("blank stamp", stamps("2020-01-01","","2020-01-03","2020-01-04"),
           Refused("column 'ds', line 3: the timestamp is missing"))
    yield ("text stamp", stamps("2020-01-01","yesterday","2020-01-03","2020-01-04"),
           Refused("column 'ds', line 3: 'yesterday' is not a timestam"))
    yield ("total row", stamps("2020-01-01","2020-01-02","2020-01-03","Total"),
           Refused("column 'ds', line 5: 'Total' is not a timestamp li"))
    yield ("NaT", stamps("2020-01-01","NaT","2020-01-03","2020-01-04"),
           Refused("column 'ds', line 3: 'NaT' is not a timestamp like"))
    yield ("huge gap", stamps("2020-01-01","2020-01-02","2020-01-03","2520-01-04"),
           Refused('at a step of B the timestamps from 2020-01-01 00:0'))
    yield ("microseconds and years", stamps("2020-01-01 00:00:00.000001","2020-01-01 00:00:00.000002",
            "2021-01-01 00:00:00"),
           Refused('at a step of us the timestamps from 2020-01-01 00:'))
    yield ("nanoseconds", stamps("2020-01-01 00:00:00.000000001","2020-01-01 00:00:00.000000002",
            "2020-01-01 00:00:00.000000003"),
           Refused("column 'ds', line 3: the timestamp 2020-01-01 00:0"))
    yield ("german months", stamps("1. Januar 2020","2. Januar 2020","3. Januar 2020"),
           Reads(PLAIN[:3], "2020-01-01 00:00:00"))
    yield "german maerz", stamps("1. März 2020","2. März 2020","3. März 2020"), Reads(PLAIN[:3], "2020-03-01 00:00:00")
    yield "french", stamps("1 févr. 2020","2 févr. 2020","3 févr. 2020"), Reads(PLAIN[:3], "2020-02-01 00:00:00")
    yield "russian", stamps("1 января 2020","2 января 2020","3 января 2020"), Reads(PLAIN[:3], "2020-01-01 00:00:00")
    yield "japanese", stamps("2020年1月1日","2020年1月2日","2020年1月3日"), Reads(PLAIN[:3], "2020-01-01 00:00:00")
    yield ("weekday", stamps("Mon, 06 Jan 2020","Tue, 07 Jan 2020","Wed, 08 Jan 2020"),
           Reads(PLAIN[:3], "2020-01-06 00:00:00"))
    yield ("weekday short", stamps("Mon 2020-01-06","Tue 2020-01-07","Wed 2020-01-08"),
           Reads(PLAIN[:3], "2020-01-06 00:00:00"))
    yield ("RFC 2822", stamps("Mon, 06 Jan 2020 10:00:00 +0000","Mon, 06 Jan 2020 11:00:00 +0000"),
           Refused("column 'ds', line 2: 'Mon, 06 Jan 2020 10:00:00 +0"))
    yield ("ctime", stamps("Mon Jan  6 10:00:00 2020","Mon Jan  6 11:00:00 2020"),
           Reads(PLAIN[:2], "2020-01-06 10:00:00"))
    yield "week", stamps("2020-W01","2020-W02","2020-W03"), Reads(PLAIN[:3], "2019-12-30 00:00:00")
    yield ("week 53 wrong", stamps("2021-W51","2021-W52","2021-W53"),
           Refused("column 'ds', line 4: '2021-W53' is not a timestamp"))
    yield "week KW", stamps("KW 01 2020","KW 02 2020","KW 03 2020"), Reads(PLAIN[:3], "2019-12-30 00:00:00")
    yield ("year/week", stamps("2020/01","2020/02","2020/03","2020/53"),
           Refused("column 'ds', line 5: '2020/53' is not a timestamp"))
    yield "quarter", stamps("2020Q1","2020Q2","2020Q3"), Reads(PLAIN[:3], "2020-01-01 00:00:00")
    yield "quarter words", stamps("Q1 2020","Q2 2020","Q3 2020"), Reads(PLAIN[:3], "2020-01-01 00:00:00")
    yield "quarter 5", stamps("2020Q3","2020Q4","2020Q5"), Refused("column 'ds', line 4: '2020Q5' is not a timestamp l")
    yield "half year", stamps("2020H1","2020H2","2021H1"), Refused("column 'ds', line 2: '2020H1' is not a timestamp")
    yield "year M", stamps("2020M01","2020M02","2020M03"), Reads(PLAIN[:3], "2020-01-01 00:00:00")
    yield "year only", stamps("2018","2019","2020","2021"), Reads(PLAIN[:4], "2018-01-01 00:00:00")
    yield "yyyymm", stamps("202001","202002","202003"), Reads(PLAIN[:3], "2020-01-01 00:00:00")
    yield "yyyymmdd", stamps("20200101","20200102","20200103"), Reads(PLAIN[:3], "2020-01-01 00:00:00")
    yield ("yyyymmdd feb30", stamps("20200228","20200229","20200230"),
           Refused("column 'ds', line 2: '20200228' is not a timestamp"))
    yield "yy", stamps("01.01.20","02.01.20","03.01.20"), Asked("date_order")
    yield ("yy 68/69", stamps("01.01.68","01.01.69","01.01.70"),
           Reads([1.5, 2.5, *[NAN] * 97, 0.5], "1969-01-01 00:00:00",
            notes=('Years of two digits are read as 19',)))
    yield "time only", stamps("10:00","11:00","12:00"), Refused("column 'ds', line 2: '10:00' is not a timestamp")
    yield ("am pm", stamps("01/13/2020 11:00 AM","01/13/2020 12:00 PM","01/13/2020 01:00 PM"),
           Reads(PLAIN[:3], "2020-01-13 11:00:00"))
    yield ("am pm dots", stamps("13/01/2020 11:00 a.m.","13/01/2020 12:00 p.m.","13/01/2020 01:00 p.m."),
           Reads(PLAIN[:3], "2020-01-13 11:00:00"))
    yield ("interval", stamps("01.01.2020 00:00 - 01.01.2020 01:00","01.01.2020 01:00 - 01.01.2020 02:00",
            "01.01.2020 02:00 - 01.01.2020 03:00"),
           Reads(PLAIN[:3], "2020-01-01 00:00:00", notes=('Timestamps are intervals, such as',)))
    yield ("comma seconds", stamps("2020-01-01 00:00:00,5","2020-01-01 00:00:01,5","2020-01-01 00:00:02,5"),
           Reads(PLAIN[:3], "2020-01-01 00:00:00.500000"))
    yield ("dots time", stamps("01.01.2020 10.00","01.01.2020 11.00","01.01.2020 12.00"),
           Reads(PLAIN[:3], "2020-01-01 10:00:00"))
    yield ("h time", stamps("01/01/2020 10h00","01/01/2020 11h00","01/01/2020 12h00"),
           Reads(PLAIN[:3], "2020-01-01 10:00:00"))
    yield ("DST autumn", stamps(*[f"2020-10-25 {h:02d}:00" for h in (0,1,2,2,3,4)]),
           Refused("column 'ds', line 5: the timestamp 2020-10-25 02:0"))
    yield ("DST spring", stamps(*[f"2020-03-29 {h:02d}:00" for h in (0,1,3,4,5)]),
           Reads([0.5, 1.5, NAN, 2.5, 3.5, 4.5], "2020-03-29 00:00:00"))
    yield ("uneven", stamps("2020-01-01","2020-01-03","2020-01-04","2020-01-09"),
           Reads([0.5, NAN, 1.5, 2.5, NAN, NAN, NAN, NAN, 3.5], "2020-01-01 00:00:00"))
    yield "trailing blanks", stamps("2020-01-01 ","2020-01-02  ","2020-01-03 "), Reads(PLAIN[:3], "2020-01-01 00:00:00")
    yield ("two formats", stamps("2020-01-01","02.01.2020","2020-01-03","04.01.2020"),
           Refused("column 'ds', line 3: '02.01.2020' is not a timesta"))
    yield ("excel 1900", stamps("1900-01-00","1900-01-01","1900-01-02"),
           Refused("column 'ds', line 2: '1900-01-00' is not a timesta"))
    yield "slash iso", stamps("2020/1/1","2020/1/2","2020/1/3"), Reads(PLAIN[:3], "2020-01-01 00:00:00")
    yield ("iso basic", stamps("20200101T000000Z","20200101T010000Z","20200101T020000Z"),
           Reads(PLAIN[:3], "2020-01-01 00:00:00", notes=("Timestamps in column 'ds' are UTC.",)))
    yield ("ordinal day", stamps("2020-001","2020-002","2020-003"),
           Refused("column 'ds', line 2: '2020-001' is not a timestamp"))
    yield "fullwidth", stamps("２０２０-０１-０１","２０２０-０１-０２"), Refused("is not a timestamp")
    yield "thai year", stamps("2563-01-01","2563-01-02","2563-01-03"), Reads(PLAIN[:3], "2563-01-01 00:00:00")
    yield "java ts", stamps("2020-01-01 00:00:00.0","2020-01-01 01:00:00.0"), Reads(PLAIN[:2], "2020-01-01 00:00:00")
    yield ("quote ts", stamps("'2020-01-01'","'2020-01-02'","'2020-01-03'"),
           Refused("column 'ds', line 2: ''2020-01-01'' is not a times"))
    yield "underscore", stamps("2020-01-01_00:00","2020-01-01_01:00"), Reads(PLAIN[:2], "2020-01-01 00:00:00")
    yield "iso T dashed", stamps("2020-01-01T00-00-00","2020-01-01T01-00-00"), Reads(PLAIN[:2], "2020-01-01 00:00:00")
    yield "10 digit hour", stamps("2020010100","2020010101","2020010102"), Reads(PLAIN[:3], "2020-01-01 00:00:00")
