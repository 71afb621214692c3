"""Words that are not listed as names of prototypes: they say nothing, or they do not belong on a screen.

A spelling goes in; why it is not listed comes out. Prototypes may start at such words and keep them; only names are
chosen without them.
"""

from __future__ import annotations

import codecs
from typing import Literal, get_args

Unlisted = Literal["stop word", "offensive word"]
WHY: tuple[Unlisted, ...] = get_args(Unlisted)
NO_NAME, NOT_SHOWN = "no name", "a word not shown"

# English words of grammar. Those that say something of a series (above, up, before, May) are not here.
_GRAMMAR = (
    "the and for with that this these those from into onto upon but not nor yet are was were been being has had"
    " have having does did doing done can could might must shall should will would cannot you your yours yourself"
    " yourselves she her hers herself him his himself its itself they them their theirs themselves our ours"
    " ourselves myself who whom whose which what when where why how there here than then thus hence therefore"
    " because while whereas although though unless whether if else either neither both each every any anyone"
    " anything anybody some someone something somebody such same other others another own only just also too very"
    " quite rather even still already ever never always often perhaps maybe however moreover furthermore otherwise"
    " instead about against among amongst between through throughout without within via per out off all most more"
    " many much few several none one ones"
)

# Slurs and obscenities, turned by 13 letters, so that who opens this file need not read them; nothing is kept secret.
# A list of its own: libraries for this purpose look for disguised spellings, which a vocabulary does not have, and
# theirs refuse words that a series needs (that of better-profanity has "slope", "stroke", "pot" and "organ").
_OFFENSIVE = (
    "nany nahf nefr nff nffrf onfgneq onfgneqf oybjwbo obyybpxf obbo obbof pnenyub pnmmb puvax puvaxf pyvg pbpx"
    " pbpxf pbba pbbaf pbñb penc phz phzfubg qntb qvpx qvpxf qvyqb qbhpur qlxr qlxrf rebgvp snt sntf srgvfu svpx"
    " svpxra svfgvat sbgmr tbbx tbbxf uvgyre ubbxre ubbxref uher vaprfg wnc wncf wvmm wbqre xvxr xvxrf xyna xhejn"
    " zreqr zvreqn zvys zvysf zbyrfg zbyrfgrq arteb artebrf avt ahqr ahqrf ahqvgl betnfz betnfzf betl cnxv cravf"
    " cvff cvffrq cbeen cevpx cevpxf chffvrf chffl chgn chgnva chggnan dhrrs encr encrq encrf encvat ergneq"
    " ergneqrq ergneqf fpurvffr fpujhpugry fpebghz frzra frkl fcvp fcvpf fhpx fhpxrq fhpxvat fhpxf grfgvpyr"
    " grfgvpyrf gvg gvgf gvggvrf gvggl genaal gheq gjng gjngf intvan ihyin jrgonpx jbc jbcf kkk"
)
_OFFENSIVE_BEGINNINGS = (
    "nefrubyr nffubyr ovgpu oybjwbo ohyyfuvg pbpxfhpx phag qvpxurnq rwnphyng snttbg shpx unaqwbo uragnv znfgheong"
    " zbgureshpx anmv avttn avttre cnrqbcuvy crqbcuvy cbea encvfg fuvg fyhg jnax juber"
)

_STOP_WORDS = frozenset(_GRAMMAR.split())
_WORDS = frozenset(codecs.decode(_OFFENSIVE, "rot13").split())
_BEGINNINGS = tuple(codecs.decode(_OFFENSIVE_BEGINNINGS, "rot13").split())


def unlisted(spelling: str) -> Unlisted | None:
    """Why a word names no prototype; None if it may."""
    word = spelling.casefold()
    if word in _STOP_WORDS:
        return "stop word"
    if word in _WORDS or word.startswith(_BEGINNINGS):
        return "offensive word"
    return None
