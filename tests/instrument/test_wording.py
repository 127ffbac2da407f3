"""Rules of thumb for wording against sentences that were labelled by hand before the rules were written."""

import pytest

import cocoanalysis as coco
from cocoanalysis.instrument.wording import double_barrelled, double_negated, hard_to_read, lix

B, N, _ = "barrelled", "negated", ""
LABELLED = {
    "en": [
        ("My manager listens to us and acts on what we say.", B),
        ("The meetings are well prepared.", _),
        ("The leaders never leave a question unanswered.", N),
        ("The board pays fairly and treats people with respect.", B),
        ("Citizens do not feel that the plan is unclear.", N),
        ("The link between the council and the schools works.", _),
        ("We have enough staff, rooms or money.", B),
        ("It is not impossible to change the rules here.", N),
        ("I would recommend this workplace to a friend.", _),
        ("No decision is made without the partners.", N),
        ("The training was useful and enjoyable.", B),
        ("More and more people take part.", _),
        ("Partners do not get the facts they need.", _),
        ("The project is good because the leaders are honest.", B),
        ("I know what is expected of me at work.", _),
        ("Nobody in the team disagrees with the goals.", N),
        ("The leaders set goals as well as deadlines.", B),
        ("Whether or not they agree, partners are told.", _),
        ("I do not dislike working with other departments.", N),
        ("The leaders bring up the same issue time and again.", _),
    ],
    "da": [
        ("Min leder lytter til os og handler på det, vi siger.", B),
        ("Møderne er godt forberedt.", _),
        ("Lederne lader aldrig et spørgsmål stå ubesvaret.", N),
        ("Ledelsen aflønner rimeligt og behandler folk med respekt.", B),
        ("Borgerne synes ikke, at planen er uklar.", N),
        ("Forbindelsen mellem kommunen og skolerne fungerer.", _),
        ("Vi har nok personale, lokaler eller penge.", B),
        ("Det er ikke umuligt at ændre reglerne her.", N),
        ("Jeg vil anbefale min arbejdsplads til en ven.", _),
        ("Ingen beslutning tages uden partnerne.", N),
        ("Kurset var nyttigt og underholdende.", B),
        ("Flere og flere deltager.", _),
        ("Partnerne får ikke de oplysninger, de har brug for.", _),
        ("Projektet er godt, fordi lederne er ærlige.", B),
        ("Jeg ved, hvad der forventes af mig på arbejdet.", _),
        ("Ingen i gruppen er uenig i målene.", N),
        ("Lederne sætter både mål og tidsfrister.", B),
        ("Lederne vender tilbage til den samme sag igen og igen.", _),
        ("Jeg har ikke noget imod at undlade møder.", N),
        ("Uanset om de er enige eller ej, får partnerne besked.", _),
    ],
}


@pytest.mark.parametrize("language", LABELLED)
def test_at_least_16_of_20_sentences_are_judged_right(language):
    right = 0
    for sentence, label in LABELLED[language]:
        judged = {B} if double_barrelled(sentence, language) else set()
        judged |= {N} if double_negated(sentence, language) else set()
        right += judged == ({label} if label else set())
    assert right >= 16


@pytest.mark.parametrize(
    ("text", "language", "barrelled", "negated"),
    [
        ("Neither leaders nor partners are asked.", "en", False, False),
        ("The staff are friendly but the waiting times are long.", "en", True, False),
        ("They ask nothing but questions.", "en", False, False),
        ("Personalet er venligt, men ventetiden er lang.", "da", True, False),
        ("It isn't unfair.", "en", False, True),
        ("The unit understands the union.", "en", False, False),
        ("Not only leaders decide.", "en", False, False),
        ("Hverken ledere eller partnere bliver spurgt.", "da", False, False),
        ("Ikke kun lederne bestemmer under mødet.", "da", False, False),
        ("Und und nicht ohne", "de", False, False),  # no grammar, no judgement
    ],
)
def test_phrases_that_count_once_or_not_at_all(text, language, barrelled, negated):
    assert (bool(double_barrelled(text, language)), bool(double_negated(text, language))) == (barrelled, negated)


def test_readability_counts_words_and_long_words():
    assert lix("The cat sat on the mat.") == 6  # six words in one sentence, none over six letters
    assert lix("Administrators cooperate. They do.") == pytest.approx(4 / 2 + 50)
    assert hard_to_read("The leaders keep their word.") is None
    assert "words" in hard_to_read(" ".join(["word"] * 30) + ".")
    assert "LIX" in hard_to_read("Organisational considerations regarding our administrative procedures settle it all.")


def test_doubtful_wordings_are_located_warnings(written):
    folder = written("{en: It helps,", "{en: 'It is not unfair and not without use',")
    codes = [(finding.code, finding.place.line) for finding in coco.read_survey(folder).findings()]
    assert codes == [("DoubleBarrelled", 56), ("DoubleNegative", 56)]
