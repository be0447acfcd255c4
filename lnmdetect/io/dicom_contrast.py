"""Whether contrast was given and in which phase, from a header's free text; only known words count.

Spellings are those of scanners' defaults and of hospitals' protocol names in several languages; a
header that says both (`W/WO CONTRAST`) or neither says nothing.
"""

import re
import unicodedata
from functools import lru_cache

from pydicom import Dataset

from lnmdetect.io.dicom_values import item, number, text

NATIVE, ARTERIAL, VENOUS, DELAYED = "native", "arterial", "venous", "delayed"
_CONTRAST_WORD = r"(?:contrast\w*|kontrast\w*|km|kv|mdc|mc|cm|civ|inj\w*|iv|enhance\w*|con|c)"
_ARTEFACTS = r"(?![\W_]*(?:i|o|s|se)?mar\b)"
"""`w/o iMAR` tells of metal artefacts, not of contrast."""


def _any_of(*patterns: str) -> re.Pattern[str]:
    # Letters end a word, digits and underscores do not: `NECK_ART_1.0`, `VEN2`.
    return re.compile("|".join(f"(?<![a-z])(?:{pattern})(?![a-z])" for pattern in patterns))


_WITHOUT = _any_of(
    rf"(?:w/?o|without|ohne|o\.|zonder|utan|uden){_ARTEFACTS}(?:[\W_]*{_CONTRAST_WORD})?",
    rf"(?:sin|sans|senza|sem|bez|no|non?|not|pre|un|kein)[\W_]*{_CONTRAST_WORD}(?:ed)?",
    *(r"nativ(?:e|o|a|em|er|es|phase)?", "plain", "unenhanced", "nc", "ncct", "nect"),
    r"c-(?![\w])",
)
_WITH = _any_of(
    rf"(?:w|with|mit|avec|con|com|met|med|post|after|nach)[\W_]*(?:iv[\W_]*)?{_CONTRAST_WORD}(?:ed)?",
    r"contrast(?:ed)?(?: enhanced)?",
    *("kontrast", "enhanced", "cect", "ce", "kmg?", "cta", r"(?:ct[\W_]*)?angio\w*", r"iv\+?"),
)
_BOTH = re.compile(r"(?<![a-z])w(?:ith)? ?(?:/|&|and|\+) ?w(?:/?o|ithout)(?![a-z])")
_PLUS = re.compile(r"(?<![a-z])c\+|\+ ?(?:c|km|cm|iv)(?![a-z])")
_PHASES = (
    (
        ARTERIAL,
        re.compile(r"arteri(?!tis|ovenous)|(?<![a-z])(?:art|cta|ct[\W_]?angio\w*)(?![a-z])"),
    ),
    (
        VENOUS,
        re.compile(
            r"(?<!intra)(?:venous|venos|venoes|vei?neu|venoz)|portal"
            r"|(?<![a-z])(?:ven|vena|venosa?|pvp?|vp)(?![a-z])"
        ),
    ),
    (
        DELAYED,
        re.compile(r"delay|(?<![a-z])(?:late|spat\w*|spaet\w*|tardi\w*|equilibrium)(?![a-z])"),
    ),
)
_NOT_TOLD = re.compile(
    r"unknown|unbekannt|unspecified|not (?:specified|known|applicable)|n/?a|other"
)
_NONE = re.compile(
    r"(?:no|none|non|not|nil|nein|nee|nej|nie|n|false|without|w/?o|ohne|nativ\w*|plain|sin|sans"
    r"|senza|zonder|utan|nc|ncct|unenhanced|un\W?enhanced|c-|0+(?:[.,]0+)?)(?![a-z0-9])"
    r"|(?:non|pre)\W?con\w*"
)
_GIVEN = re.compile(
    r"(?<![a-z])i\.?v\.?(?![a-z])|\bio[a-z]{3,}|omnipaq|ultravist|visipaq|isovue|optiray"
)
_BY_MOUTH = re.compile(r"(?<![a-z])(?:oral|p\.?o\.?|barium|water|read[iy].?cat|gastro\w+)(?![a-z])")


def contrast_of(dataset: Dataset) -> bool | None:
    """Return whether contrast was given into a vein, None where the header does not say."""
    told = _agent_tells(text(dataset, "ContrastBolusAgent"))
    if told is not None:
        return told
    # Enhanced objects have the agent's module only where one was given (PS3.3 C.7.6.4b).
    if len(item(dataset, "ContrastBolusAgentSequence")) or number(dataset, "ContrastBolusVolume"):
        return True
    series = _described(text(dataset, "SeriesDescription"))
    return series if series is not None else _described(text(dataset, "ProtocolName"))


def phase_of(dataset: Dataset) -> str:
    """Return native, arterial, venous or delayed, empty where the header does not say.

    A series' own description goes before its protocol's name, which may tell of all its series.
    """
    own = _phase(text(dataset, "SeriesDescription"))
    if own:
        return own
    general = _phase(text(dataset, "ProtocolName"))
    return "" if general == NATIVE and contrast_of(dataset) else general


@lru_cache(maxsize=256)
def _agent_tells(agent: str) -> bool | None:
    said = _plain(agent)
    if not any(map(str.isalnum, said)) or _NOT_TOLD.fullmatch(said):
        return None
    into_a_vein = _GIVEN.search(said) is not None
    if _NONE.match(said):
        return None if into_a_vein else False
    return None if _BY_MOUTH.search(said) and not into_a_vein else True


@lru_cache(maxsize=256)
def _described(description: str) -> bool | None:
    """Return whether words say that contrast was given, None where they say both or neither."""
    said = _plain(description)
    rest = _WITHOUT.sub(" ", said)
    without = rest != said
    given = _WITH.search(rest) is not None or _PLUS.search(rest) is not None
    return None if _BOTH.search(said) or given == without else given


@lru_cache(maxsize=256)
def _phase(description: str) -> str:
    said = _plain(description)
    if _described(description) is False:
        return NATIVE
    found = {name for name, words in _PHASES if words.search(said)}
    # Of a split bolus, or of a protocol with both, neither is the phase.
    if {ARTERIAL, VENOUS} <= found:
        return ""
    return next((name for name, _ in _PHASES if name in found), "")


def _plain(written: str) -> str:
    """Return the text in lower case without accents; what is not Latin stays."""
    split = unicodedata.normalize("NFKD", written)
    return "".join(c for c in split if not unicodedata.combining(c)).lower().strip()
