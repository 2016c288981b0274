"""Words around a voice in captions: its adjectives and verbs, and the words that link it."""

import re


def word_pattern(words: str) -> re.Pattern[str]:
    """Pattern of alternatives at the start of a word; "_" stands for a space."""
    return re.compile(rf"(?:{'|'.join(words.split())})\b".replace("_", " "), re.IGNORECASE)


PEOPLE = frozenset("male female man men woman women boy girl guy lady males females".split())
PRONOUNS = frozenset("he she him himself herself".split())
QUALITIES = PEOPLE | frozenset(
    """kid kids child children young old main principal lead leading backing background foreground
    group raspy husky gruff hoarse breathy guttural nasal whiny throaty smoky shaky quivering warbly
    croaky pitched high low monotone harmonised harmonized catchy generic good great more language
    accent sounding pleasant slurred typical distant occasional prominent half other worldly
    other-worldly very quite rather slightly bit kind type lots lot of english-speaking texture
    strained passionate rapid band well processing sampled back-up backup supporting adult teenage
    powerful robotic flat clean whispery sassy amateur wide throated harmonious layered layering
    dubbed doubled several various many few multiple couple different four three""".split()
)
"""Adjectives of voices that the lexicon does not have."""
DETERMINERS = frozenset(
    "a an the some his her their its this that no not any one two both only just these".split()
)
LINKS = frozenset(
    """with without featuring features feature has have having and plus by over in on top along
    accompanied as including includes contains containing using uses performed to for under behind
    around between supplemented joined followed quickly supported supporting backed like through
    from lacks lacking missing is are was be can could there present it which who that then also or
    nor but joins where when while comes into starting at alongside & introduces
    introduced punctuated based makes make adding adds driven underneath complement accompanying
    used doesn't consists consisting of above across we hear hears heard include contain plays
    playing play sung song's against beneath till until so because since mix mixes mixed
    alternating alternates aside carried led lead it's they there's that's you we i sees see uses
    use utilizes utilises""".split()
)
"""Words that connect a voice with the words before it; they are removed with it."""
KEPT_LINKS = frozenset("with featuring features has over using and by".split())
MUSIC_NOUNS = frozenset(
    """song songs track tracks piece pieces music tune tunes version melody melodies recording
    performance composition arrangement accompaniment production sound sounds vibe feel
    groove rhythm style texture line lines part parts section solo beat number instrumental harmony
    one cover remix loop jingle theme atmosphere mood tone medley video soundtrack instrumentation
    riff riffs chords progression""".split()
)
"""Nouns of music before a voice that are not about it; prose may end with one of them."""
BEGINS_OTHER_SOUND = word_pattern(
    """with over accompanied accompanying backed featuring alongside on_top_of supported joined
    using along_with as_well_as followed surrounded while against above together_with"""
)
"""Words after a voice that begin other sounds."""
ALWAYS_BEGINS_OTHER_SOUND = word_pattern(
    """over accompanied accompanying backed alongside on_top_of supported joined along_with
    as_well_as surrounded while against together_with above"""
)
"""Words that always begin other sounds; "with" may also go on about the voice ("with emotion")."""
AND = re.compile(r"(?:and|or|plus|&|as well as|also|but|then)\s+", re.IGNORECASE)
VERB = word_pattern(
    """is are has have was were can could makes? gives? sounds? feels? seems? sings? raps? plays?
    creates? adds? brings? enters? comes? joins? goes takes? remains? leads? sits? rises? repeats?
    alternates? interchanges? harmoni[sz]es? delivers? performs? shouts? screams? talks? speaks?
    who that which in to at about there does do not be being"""
)
"""Words after a voice that is the subject of a sentence: what the voice does."""
ABOUT_VOICE = re.compile(
    r"""\s*(?:
      (?:also\s|that\s|who\s|which\s)?(?:is\s|are\s)?  # what the voice does, until something else
      (?:singing|sings|sung|talk(?:s|ing)|speaking|telling|expressing|echoing|repeating|saying
        |delivering|lamenting|performing|about|contain\w*|around|harmoni\w+|rapping|shouting
        |chanting|screaming|humming)\b
      (?:(?!\b(?:and|with|over|but|while|accompanied|backed|featuring|on)\b).)*
    | (?:not\s)?in\s(?:english|french|spanish|german|italian|portuguese|japanese|another|korean)\b
    | (?:not\s)?in\san?\s(?:\w+\s)?
      (?:language|register|range|tone|style|manner|way|pitch|key|voice)\b
    | (?:by|from|of)\s(?:an?\s|the\s)?(?:\w+\s)?
      (?:man|woman|girl|boy|guy|male|female|artist|duo|lady|singer)\b
    | (?:in|to|at|towards)\s(?:the\s)?
      (?:background|foreground|front|back|middle|end|beginning|start|chorus|verse)\b
    | on\stop\b(?!\sof)
    | (?:sound|line|part|melody|melodies|texture|performance|effect|track|sample|solo|delivery|tone
        |style|timbre|verse|licks?|arrangement|piece|register|range|harmon(?:y|ies)|chorus|hook|duet
        |presence|layer)s?\b
    | \w+ly\b )""",
    re.IGNORECASE | re.VERBOSE,
)  # fmt: skip
"""Words after a voice that belong to it."""
DENIAL_AFTER = re.compile(
    r"(?:-|\s*:|\s+(?:is|are|was|were|removed|absent|missing)\b)[^,;.()]*", re.IGNORECASE
)
"""The denial that follows a voice: "vocals are absent", "vocal-free"."""
