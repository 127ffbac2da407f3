"""Is a question asked well? Two questions in one, two negations in one, and long-winded words.

Rules of thumb on the words alone, by language: they warn and never decide. To add a language, add
its `Grammar` to GRAMMARS; readability needs none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from cocoanalysis.instrument.checking import Check, check
from cocoanalysis.instrument.findings import Finding, doubt

LONGEST_SENTENCE = 25  # words
HARDEST = 60  # LIX of technical prose
FEWEST_WORDS = 9  # below this the index jumps with every word


@dataclass(frozen=True)
class Grammar:
    """What joins two questions, and what negates, in one language (regular expressions)."""

    joins: str  # words that put two things into one question
    reasons: str  # words that add a cause to a statement
    harmless: str  # phrases with such a word that are one idea
    negations: str  # words that turn a statement round
    once: str  # phrases with such words that count once, or not at all
    no_negation: str = r"(?!)"  # phrases that only look like a negation


GRAMMARS = {
    "en": Grammar(
        joins=r"\b(and|or|but|as well as|along with)\b|/",
        reasons=r"\b(because|due to|thanks to)\b",
        harmless=(
            r"\b(nothing|anything|all|none) but\b"
            r"|\bbetween\b[^.;]*?\band\b|\b(such as|for example)\b[^.;]*?\b(and|or)\b"
            r"|\band\b[^.;]*\b(each other|one another|together)\b"
            r"|\b(more|again|over|less|better|time|on|by|now|here|back|first|sooner|fewer)"
            r" (and|or) (more|again|over|less|better|time|on|off|large|then|there|forth|foremost|later|fewer)\b"
            r"|\beach and every\b|\b(research|health|law|trial|pros|ups|give|terms|peace|black|supply|checks|rules)"
            r" and (development|safety|order|error|cons|downs|take|conditions|quiet|white|demand|balances)\b"
            r"|\b(one|two|three|four) or (two|more|three|four|five)\b|\bor (not|so|other)\b|\band so (on|forth)\b"
            r"|\b(he|she|his|her|him) or (he|she|his|her|him)\b|\((?:[^()]*)\)"
        ),
        negations=(
            r"\b(not|cannot|never|no|none|nobody|nothing|nowhere|neither|nor|without|hardly|barely|scarcely|unless|"
            r"lacks?|lacking|fails?|failed|refuses?|refused|avoids?|avoided|prevents?|opposes?|opposed|denies|deny|"
            r"dis(?:agrees?|agreed?|likes?|liked|approves?|trusts?|satisfied|honest|courages?|regards?|respect\w*)|"
            r"im(?:possible|patient|proper|practical|polite)|ir(?:relevant|responsible|regular)|"
            r"il(?:legal|logical|legitimate)|in(?:capable|appropriate|sufficient|consistent|accurate|adequate|"
            r"complete|effective|efficient|correct|frequent\w*|secure|sensitive|tolerant|visible|valid)|"
            r"non-\w+|use(?:less)|care(?:less)|point(?:less)|hope(?:less)|help(?:less)|"
            r"un(?!der|it\b|its\b|ited|ion|ions|ique|iqu|til|iver|iform|animous|cles?\b)[a-z]{3,})\b|n[’']t\b"
        ),
        once=r"\bneither\b[^.;]*?\bnor\b",
        no_negation=r"\bnot (only|just|least)\b|\bno matter\b|\bwhether or not\b|\bor not\b|\bno longer\b(?=[^.]*\bno)",
    ),
    "da": Grammar(
        joins=r"\b(og|eller|men|samt|såvel som)\b|/",
        reasons=r"\b(fordi|på grund af|takket være)\b",
        harmless=(
            r"\bmellem\b[^.;]*?\bog\b|\bfor eksempel\b[^.;]*?\b(og|eller)\b|\bog\b[^.;]*\b(hinanden|sammen)\b"
            r"|\b(flere|igen|mere|mindre|bedre|til|fra|færre|først|før|hver|nu|her|frem) "
            r"(og|eller) (flere|igen|mere|mindre|bedre|til|fra|færre|fremmest|senere|hver|da|der|tilbage)\b"
            r"|\b(forskning|lov|love|fordele|udbud|ro|regler) og "
            r"(udvikling|orden|regler|ulemper|efterspørgsel|love|retningslinjer)\b"
            r"|\b(en|to|tre|fire) eller (to|flere|tre|fire|fem)\b|\beller (ej|ikke|andre|lignende)\b|\bog så videre\b"
            r"|\b(han|hun|hans|hendes|ham|hende) eller (han|hun|hans|hendes|ham|hende)\b|\((?:[^()]*)\)"
        ),
        negations=(
            r"\b(ikke|aldrig|ingen|intet|ingenting|ingensinde|hverken|uden|næppe|knap|medmindre|imod|undlade[rs]?|"
            r"undlod|undgår?|undgå|nægter?|mangler?|mangle|forhindrer?|modarbejder?|misbilliger?|mistror?|mistillid|"
            r"u(?:klar\w*|enig\w*|rimelig\w*|retfærdig\w*|nødvendig\w*|mulig\w*|vigtig\w*|sikker\w*|sikre|forståelig\w*|"
            r"tilfreds\w*|venlig\w*|ærlig\w*|acceptabel\w*|acceptable|brugelig\w*|villig\w*|tydelig\w*|sandsynlig\w*|"
            r"egnet|egnede|lovlig\w*|besvare(?:t|de)|løst?e?|løse|hensigtsmæssig\w*|tilstrækkelig\w*|interessant\w*|"
            r"betydelig\w*|relevant\w*|effektiv\w*|erfar\w*|høflig\w*|afklare(?:t|de)|planlagt\w*|realistisk\w*|"
            r"opmærksom\w*|ansvarlig\w*|forberedt\w*|fair|heldig\w*|heldigvis|gennemsigtig\w*|engagere(?:t|de)))\b"
        ),
        once=r"\bhverken\b[^.;]*?\beller\b",
        no_negation=r"\bikke (kun|bare|blot|mindst)\b|\beller (ej|ikke)\b|\buanset\b",
    ),
}


def double_barrelled(text: str, language: str) -> str | None:
    """The word that joins two questions into one, or None.

    Examples
    --------
    >>> double_barrelled("The training was useful and enjoyable.", "en")
    'and'
    """
    grammar = GRAMMARS.get(language)
    if grammar is None:
        return None
    once = re.sub(grammar.once, " ", text, flags=re.IGNORECASE)
    plain = re.sub(grammar.harmless, " ", once, flags=re.IGNORECASE)
    found = re.search(f"{grammar.joins}|{grammar.reasons}", plain, re.IGNORECASE)
    return found[0] if found else None


def double_negated(text: str, language: str) -> list[str]:
    """The negations of a sentence that has two or more of them; else an empty list."""
    grammar = GRAMMARS.get(language)
    if grammar is None:
        return []
    for sentence in sentences(text):
        plain = re.sub(grammar.no_negation, " ", sentence, flags=re.IGNORECASE)
        folded = re.sub(grammar.once, lambda found: found[0].split()[0], plain, flags=re.IGNORECASE)
        found = [match[0] for match in re.finditer(grammar.negations, folded, re.IGNORECASE)]
        if len(found) > 1:
            return found
    return []


def sentences(text: str) -> list[str]:
    return [part for part in re.split(r"(?<=[.!?:;])\s+", text.strip()) if re.search(r"\w", part)]


def lix(text: str) -> float:
    """Readability index LIX: words a sentence, plus the percentage of words over six letters.

    Made for Swedish and used for many languages; about 30 is easy, 60 hard (the index is
    Björnsson's, 1968; the publication was not seen, the formula is common knowledge).
    """
    words = re.findall(r"[^\W\d_]+", text)
    if not words:
        return 0.0
    return len(words) / max(1, len(sentences(text))) + 100 * sum(len(word) > 6 for word in words) / len(words)


def hard_to_read(text: str) -> str | None:
    """Why a text is hard to read, or None."""
    counts = [len(re.findall(r"[^\W\d_]+", sentence)) for sentence in sentences(text)]
    if max(counts, default=0) > LONGEST_SENTENCE:
        return f"a sentence has {max(counts)} words"
    if sum(counts) >= FEWEST_WORDS and lix(text) > HARDEST:
        return f"many words are long (LIX {lix(text):.0f}; above {HARDEST} is hard)"
    return None


@check
def wordings(subject: Check) -> Iterator[Finding]:
    """Each item in each language, as it is asked of raters of others."""
    for id, item in subject.survey.items.items():
        for language in item.text if item.role != "attention" else ():
            text, place = item.wording(language), subject.survey.places[f"{id}.{language}"]
            if word := double_barrelled(text, language):
                sentence = f"'{id}' may ask two things at once ('{word}' in '{language}'); ask one, or make two items."
                yield doubt(place, "DoubleBarrelled", sentence)
            if found := double_negated(item.question(language), language):
                words = "' and '".join(found)
                sentence = f"'{id}' negates twice ('{words}' in '{language}'); say it the direct way."
                yield doubt(place, "DoubleNegative", sentence)
            if why := hard_to_read(text):
                yield doubt(place, "HardToRead", f"'{id}' is hard to read in '{language}': {why}.")
