"""Bytes of a text file as text: byte-order mark, UTF-8, or one of the older encodings.

Inputs: bytes. Outputs: text, the encoding's name, and a question where the bytes are legible in several encodings.
Files of this kind are too short for statistics on letters, so that only what is clearly Western European is decided
here.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from dataclasses import dataclass

from timellm.errors import Choice, DataError, QuestionError

# In order of preference where two are equally legible.
LEGACY = {
    "cp1252": "Western European (Windows-1252)",
    "cp1250": "Central European (Windows-1250)",
    "iso8859_2": "Central European (Latin-2)",
    "cp1251": "Cyrillic (Windows-1251)",
    "koi8-r": "Cyrillic (KOI8-R)",
    "cp866": "Cyrillic (DOS, code page 866)",
    "cp932": "Japanese (Shift-JIS)",
    "euc_jp": "Japanese (EUC-JP)",
    "gb18030": "Chinese (GB 18030)",
    "big5": "Chinese, traditional (Big5)",
    "cp949": "Korean (code page 949)",
    "cp1253": "Greek (Windows-1253)",
    "cp1254": "Turkish (Windows-1254)",
    "cp1257": "Baltic (Windows-1257)",
    "mac_roman": "Western European (Mac)",
    "cp850": "Western European (DOS, code page 850)",
}
_CONTAINERS = {
    b"PK\x05\x06": "an empty zip archive",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"7z\xbc\xaf": "a 7z archive",
    b"\x28\xb5\x2f\xfd": "a Zstandard file",
    b"Rar!": "a RAR archive",
    b"ARROW1": "a Feather file",
    b"\x89HDF": "an HDF5 file",
    b"CDF": "a NetCDF file",
    b"\x7fELF": "a program",
    b"MZ": "a program",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"{\\rtf": "an RTF document",
    b"PK\x03\x04": "a zip archive or workbook within another one",
    b"\x1f\x8b": "a gzip file within another one",
    b"SQLite format 3": "a SQLite database",
    b"%PDF": "a PDF document",
    b"\x89PNG": "a picture",
}
_MARKUP = re.compile(rb"(?i)\s*(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|head|body|table|\?xml|svg)")
# UTF-32 before UTF-16, whose mark is how UTF-32's begins.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
_WORDS = re.compile(rb"[A-Za-z]*[\x80-\xff][A-Za-z\x80-\xff]*")
# In East Asian encodings, the second byte of a letter may be one of these, too.
_LONG_WORDS = re.compile(rb"[A-Za-z]*[\x80-\xff][@-\[\]-{}~A-Za-z\x80-\xff]*")
_UNSEEN = "\ufeff\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069"
_INVISIBLE = re.compile(f"[{_UNSEEN}]")
_SNIFFED = 4096
# Letters and signs of Western European tables that other encodings rarely put in the same places.
_WESTERN = set("äöüßéèêëàâçîïôûùœæøåñáíóúãÄÖÜÉÈÀÇØÅÆÑÁÓÚ")
_SIGNS = set("°µ²³€£§±·½¼×–’ºª®© \u00a0")
_NEVER_IN_WORDS = set("¼½¾£¥¶¡¢¦¨¸¯¬ˇ˘˛˙´")
_EAST_ASIAN = ("cp932", "euc_jp", "gb18030", "big5", "cp949")
_MOST_CHOICES = 6
_SHOWN = 60


@dataclass(frozen=True)
class Decoded:
    """Text of a file, and how it was decoded."""

    text: str
    encoding: str
    notes: tuple[str, ...] = ()
    doubt: QuestionError | None = None
    """To be raised if the table needs any text beyond ASCII."""


def decode(raw: bytes, *, name: str, encoding: str) -> Decoded:
    """Decode the bytes of a file called `name`; `encoding` "auto" finds it.

    Raises:
        DataError: the bytes are no text, or not in that encoding.
    """
    for magic, kind in _CONTAINERS.items():
        if raw.startswith(magic):
            raise DataError(f"{name} is {kind}, not a text table; save or export it as CSV first")
    if _MARKUP.match(raw[:_SNIFFED]):
        raise DataError(f"{name} is a web page or XML, not a text table; save or export it as CSV first")
    marked = next((e for mark, e in _MARKS if raw.startswith(mark)), None)
    if marked is None and encoding == "auto" and (unmarked := _utf16_without_mark(raw)) is not None:
        return unmarked
    tried = marked or ("utf-8" if encoding == "auto" else encoding)
    try:
        return Decoded(raw.decode(tried), tried)
    except UnicodeError as error:
        start = error.start if isinstance(error, UnicodeDecodeError) else 0
        if marked or encoding != "auto":
            raise DataError(
                f"{name}, line {_line(raw, start)}: the text is not {tried.upper()}; save it as CSV in UTF-8"
                + ("" if marked else ", or correct setting 'encoding'")
            ) from None
    control = _CONTROL.search(raw)
    if control:
        raise DataError(
            f"{name}, line {_line(raw, control.start())}: the character {chr(control.group()[0])!r} does not belong in "
            "a text table; save the table as CSV in UTF-8"
        )
    return _decode_legacy(raw, name, _line(raw, start))


def without_invisible(text: str) -> tuple[str, tuple[str, ...]]:
    """The text without characters that nobody sees, and a note: byte-order marks inside, zero-width blanks."""
    # Sign by sign, because looking for one that a text cannot hold costs nothing.
    first = _INVISIBLE.search(text) if not text.isascii() and any(sign in text for sign in _UNSEEN) else None
    if first is None:
        return text, ()
    line = text.count("\n", 0, first.start()) + 1
    note = f"Invisible characters are left out (the first, U+{ord(first.group()):04X}, stands in line {line:,})."
    return _INVISIBLE.sub("", text), (note,)


def _utf16_without_mark(raw: bytes) -> Decoded | None:
    """Text in UTF-16 that has no byte-order mark: every other byte of a table is zero."""
    head = raw[:_SNIFFED]
    for zeros, encoding in ((head[1::2], "utf-16-le"), (head[::2], "utf-16-be")):
        if (
            len(raw) % 2 == 0
            and len(head) >= 8
            and zeros.count(0) > 0.8 * len(zeros)
            and head.count(0) < 0.6 * len(head)
        ):
            text = _try(raw, encoding)
            if text is not None:
                return Decoded(text, encoding, (f"The text is read as {encoding.upper()}; it has no byte-order mark.",))
    return None


def _decode_legacy(raw: bytes, name: str, line: int) -> Decoded:
    words, long_words = (b" ".join(dict.fromkeys(one.findall(raw))) for one in (_WORDS, _LONG_WORDS))
    if _clearly_western(words):
        shown = next(word for word in words.decode("cp1252").split(" ") if not word.isascii())
        note = (
            f"The file is not UTF-8 (first in line {line}); its text is read as Windows-1252, such as '{shown}'. "
            "If that is wrong, set 'encoding'."
        )
        return Decoded(raw.decode("cp1252"), "cp1252", (note,))
    ranked = sorted(
        (
            (legibility(text), encoding)
            for encoding in LEGACY
            if (text := _try(long_words if encoding in _EAST_ASIAN else words, encoding)) is not None
        ),
        key=lambda pair: -pair[0],
    )
    best = next(encoding for _, encoding in ranked if _try(raw, encoding) is not None)
    note = f"The file is not UTF-8 (first in line {line}); its text is read as {LEGACY[best]}, which may be wrong."
    return Decoded(raw.decode(best), best, (note,), _question(raw, words, name, [one for _, one in ranked]))


def _question(raw: bytes, words: bytes, name: str, encodings: list[str]) -> QuestionError:
    # The header says most; where it is ASCII, the first words beyond ASCII do.
    header = raw.lstrip().splitlines()[0]
    shown = words[:_SHOWN] if header.isascii() else header
    readings: dict[str, Choice] = {}
    for encoding in encodings:
        text = _try(shown, encoding)
        if text is not None and _try(raw, encoding) is not None and text not in readings:
            readings[text] = Choice(encoding, LEGACY[encoding], text[:_SHOWN])
    kept = list(readings.values())[:_MOST_CHOICES]
    return QuestionError(
        f"{name} is not UTF-8, and its text can be read in several encodings", setting="encoding", choices=kept
    )


def _try(raw: bytes, encoding: str) -> str | None:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        return None


def _clearly_western(words: bytes) -> bool:
    """Whether all words beyond ASCII are usual Western European ones in Windows-1252."""
    text = _try(words, "cp1252")
    if text is None:
        return False
    for word in text.replace("õe", "oe").split(" "):  # Portuguese; elsewhere, this place is another letter's
        foreign = [letter for letter in word if letter in _WESTERN]
        if len(foreign) > (len(word) + 1) // 2 or not all(
            letter.isascii() or letter in _WESTERN or letter in _SIGNS for letter in word
        ):
            return False
        if re.search(r"[A-Za-z][²³°][A-Za-z]", word) or re.search("[a-z][ÄÖÜÉÈÀÇØÅÆÑÁÓÚ]", word):
            return False
    return True


def legibility(text: str) -> float:
    """How much the words of a text look written by people, 0 to 1: one script and one case a word, common letters."""
    words = [word for word in re.split(r"\s+", text) if word and not word.isascii()]
    return sum(map(_word_legibility, words)) / len(words) if words else 0.0


def _word_legibility(word: str) -> float:
    letters = [letter for letter in word if letter.isalpha()]
    strange = sum(1 for letter in word if not (letter.isalnum() or letter in _SIGNS or letter.isascii()))
    if not letters:
        return 0.0 if strange else 0.5
    scripts = {_script(letter) for letter in letters if not letter.isascii()}
    if (
        strange
        or _NEVER_IN_WORDS & set(word)
        or len(scripts - {"kanji"}) > 1
        or (scripts - {"latin"} and any(letter.isascii() for letter in letters))
    ):
        return 0.0
    if scripts == {"latin"}:
        share = sum(not letter.isascii() for letter in letters) / len(letters)
        return 0.2 if share > 0.5 else 0.9
    if scripts & {"kana", "kanji", "hangul"}:
        return sum(map(_common, letters)) / len(letters)
    if "other" in scripts:
        return 0.1
    joined = "".join(letters)
    return 1.0 if joined.islower() or joined[1:].islower() else 0.6 if joined.isupper() else 0.1


def _script(letter: str) -> str:
    kind = unicodedata.name(letter, "").split(" ")[0]
    scripts = {"LATIN": "latin", "CYRILLIC": "cyrillic", "GREEK": "greek", "CJK": "kanji", "HANGUL": "hangul"}
    return scripts.get(kind, "kana" if kind in ("HIRAGANA", "KATAKANA") else "other")


def _common(letter: str) -> bool:
    """Whether an East Asian sign is among the everyday ones of a national standard."""
    for encoding, first, last in (("shift_jis", 0x82, 0x97), ("gb2312", 0xB0, 0xD7), ("euc_kr", 0xB0, 0xC8)):
        try:
            if first <= letter.encode(encoding)[0] <= last:
                return True
        except UnicodeEncodeError:
            continue
    return False


def _line(raw: bytes, position: int) -> int:
    return raw.count(b"\n", 0, position) + 1
