"""Broken files: each fault one located message, never a traceback; case numbers of the list of bad inputs."""

import contextlib
import re
import subprocess
import sys

import pytest

import cocoanalysis as coco
from cocoanalysis.errors import InstrumentError

from .conftest import INSTRUMENT, SURVEY

LOCATED = re.compile(r"^(.+\.yaml):(\d+):(\d+): error ([A-Z][A-Za-z]+): .+[.?]$")

ATTENTION = INSTRUMENT[INSTRUMENT.index("- id: att1") : INSTRUMENT.index("background:")]

# (name, old text, new text with « before the place that the message must name, code, part of the sentence)
FAULTS = [
    ("case_2_duplicate_item", "id: tru2", "id: «tru1", "DuplicateId", "teamwork.yaml:33:13"),
    ("case_2_duplicate_across_kinds", "id: team\n", "id: «tru1\n", "DuplicateId", "stands twice"),
    ("case_3_duplicate_key", "    role: outcome\n", "    role: outcome\n    «role: marker\n", "DuplicateKey", ":52:5"),
    ("case_4_bool_for_text", "{en: It helps,", "{en: «true,", "WrongKind", "Put it in quotes: 'true'"),
    ("case_4_number_for_text", "{en: It helps,", "{en: «12,", "WrongKind", "Put it in quotes: '12'"),
    ("case_4_octal_for_number", "expected: 2", "expected: «012", "WrongKind", "a whole number; the text '012' came"),
    ("case_4_text_for_number", "expected: 2", "expected: «1_000", "WrongKind", "a whole number"),
    ("case_4_yes_for_bool", "composite: true", "composite: «yes", "WrongKind", "true or false; the text 'yes' came"),
    ("case_5_unknown_in_block", "practices: [trusting]", "practices: [«trustin]", "UnknownName", "mean 'trusting'"),
    ("case_5_unknown_in_score", "of: [valuing]", "of: [valuing, «val9]", "UnknownName", "Did you mean"),
    ("case_7_no_scale", "    scale: agree5\n    items:\n      - id: val1", "    items:\n      - id: «val1",
     "MissingScale", "has no scale"),
    ("case_12_cyrillic_id", "id: tru3", "id: «tru3\u0430", "ConfusableId", "U+0430"),
    ("case_12_decomposed_id", "id: tru3", "id: «tru3e\u0301", "BadId", "cannot be an id"),
    ("case_13_keyword", "id: tru3", "id: «class", "ReservedId", "formula language"),
    ("case_13_tilde", "id: tru3", "id: «'a ~ b'", "BadId", "small letters and digits"),
    ("case_13_too_long", "id: tru3", "id: «averyveryverylongidentifier", "BadId", "at most 18"),
    ("case_14_path_traversal", "[teamwork.yaml]", "[«../../etc/passwd]", "PathOutside", "leads out"),
    ("case_14_absolute_path", "[teamwork.yaml]", "[«/etc/hosts.yaml]", "PathOutside", "leads out"),
    ("case_14_windows_path", "[teamwork.yaml]", "[«'..\\..\\a.yaml']", "PathOutside", "leads out"),
    ("case_14_python_tag", "id: tru3", "id: «!!python/object/apply:os.system [ls]", "Tag", "not allowed"),
    ("case_14_anchor", "score: {rule: mean, min_items: 2}", "score: «&s {rule: mean}", "AnchorOrAlias", "'&s'"),
    ("case_14_alias", "score: {rule: mean, min_items: 2}", "score: «*s", "AnchorOrAlias", "'*s'"),
    ("case_15_newer_schema", "schema: 1\nid: teamwork", "schema: «2\nid: teamwork", "VersionError", "reads schema 1"),
    ("case_15_newer_survey", "schema: 1\nid: demo", "schema: «9\nid: demo", "VersionError", "newer cocoanalysis"),
    ("older_schema", "schema: 1\nid: demo", "schema: «0\nid: demo", "BadSchema", "Write 'schema: 1'"),
    ("missing_file", "[teamwork.yaml]", "[«teamwerk.yaml]", "NoSuchFile", "Did you mean 'teamwork.yaml'"),
    ("not_yaml_suffix", "[teamwork.yaml]", "[«answers.csv]", "NotYaml", "no YAML file"),
    ("unknown_scale", "    scale: agree5\n    composite", "    scale: «agre5\n    composite",
     "UnknownScale", "'agree5'"),
    ("unknown_key", "label: {en: Trust", "«lable: {en: Trust", "UnknownKey", "Did you mean 'label'"),
    ("missing_key", "- id: valuing\n    label: {en: Value, da: Værdi}\n    role: outcome\n",
     "- «id: valuing\n    label: {en: Value, da: Værdi}\n", "MissingKey", "needs the key 'role'"),
    ("unknown_role", "role: outcome", "role: «outcom", "NotAllowed", "Did you mean 'outcome'"),
    ("unknown_key_direction", "key: reverse", "key: «reversed", "NotAllowed", "forward, reverse"),
    ("unknown_language", "{en: It helps, da:", "{en: It helps, «de:", "UnknownLanguage", "'de'"),
    ("bad_language_code", "{en: It helps, da:", "{en: It helps, «D!:", "BadLanguage", "language code"),
    ("empty_text", "{en: It helps,", "{en: «'  ',", "EmptyText", "blank"),
    ("no_text", "{en: It helps,", "{en:« ,", "WrongKind", "nothing came"),
    ("text_without_language", "text: {en: It helps, da: Det hjælper}", "text: «It helps", "WrongKind", "by language"),
    ("no_items", "items:\n      - id: bac1", "items: «[]\n    note: |\n      - id: bac1", "TooFew", "at least 1"),
    ("duplicate_code", "{code: 2, label: {en: disagree", "{code: «1, label: {en: disagree", "DuplicateCode", ":15:16"),
    ("endless_code", "{code: 2, label: {en: dis", "{code: «9999999999, label: {en: dis", "CodeTooLong", "9 digits"),
    ("missing_code_is_an_answer", "{code: 98,", "{code: «5,", "DuplicateCode", "twice"),
    ("one_point_scale", "  agree5:\n", "  «one: {points: [{code: 1, label: {en: a}}]}\n  agree5:\n", "EmptyScale",
     "two points"),
    ("unknown_reason", "reason: cannot_judge", "reason: «cannot", "NotAllowed", "Did you mean 'cannot_judge'"),
    ("expected_not_offered", "expected: 2", "expected: «7", "NotOnScale", "1, 2, 3, 4, 5"),
    ("min_items_too_many", "min_items: 2", "min_items: «9", "TooManyNeeded", "has 3 items"),
    ("no_categories", "kind: identifier", "kind: «categorical", "MissingCategories", "categories"),
    ("unknown_reference", "reference: other", "reference: «others", "UnknownCategory", "Did you mean 'other'"),
    ("form_of_no_survey", "id: tru3\n        text: {en: hide their plans, da: skjuler deres planer}\n"
     "        key: reverse\n        forms: [full]", "id: «tru3\n        text: {en: a, da: a}\n        forms: [ful]",
     "UnknownForm", "Did you mean 'full'"),
    ("planned_block_unknown", "parts: [[a], [b]]", "parts: [[a], [«c]]", "UnknownName", "block of items"),
    ("score_of_itself", "  outcome:\n    of: [valuing]", "  «outcome:\n    of: [outcome]", "Circular",
     "made of itself"),
    ("score_counts_twice", "of: [valuing]", "of: [valuing, «valuing]", "DuplicateMember", "counts twice"),
    ("score_takes_an_items_name", "  outcome:\n", "  «tru1:\n", "DuplicateId", "already taken"),
    ("order_unknown", "consent, rating,", "consent, «ratin,", "UnknownName", "Did you mean 'rating'"),
    ("order_twice", "consent, rating,", "consent, rating, «rating,", "DuplicateMember", "twice in the order"),
    ("address_column", "{column: rating", "{column: «ratings", "UnknownName", "Did you mean 'rating'"),
    ("address_answer", "other: other}", "other: «others}", "UnknownName", "category"),
    ("sample_outside", "file: answers.csv", "file: «../answers.csv", "PathOutside", "inside it"),
    ("sample_provenance", "provenance: synthetic", "provenance: «real", "NotAllowed", "public real"),
    ("code_map_unknown", "{tru1: Q1}", "{tru11: «Q1}", "UnknownName", "Did you mean 'tru1'"),
    ("bad_version", 'id: demo\nversion: "0.1.0"', "id: demo\nversion: «0.1", "WrongKind", "in quotes"),
    ("syntax", "scales:\n  agree5:\n    title:", "scales: [\n  agree5:\n    title«:", "YamlSyntax", "not YAML"),
    ("tabs", "  agree5:\n", "«\tagree5:\n", "YamlSyntax", "not YAML"),
    ("two_documents", "background:\n", "«---\nbackground:\n", "SeveralDocuments", "second document"),
    ("yaml_1_1", "schema: 1\nid: teamwork", "%YAML 1.1\n«---\nschema: 1\nid: teamwork", "YamlVersion", "1.2"),
    ("list_as_key", "background:\n", "? «[a]\n: b\nbackground:\n", "NotAKey", "single word"),
    ("condition_unknown", "- id: valuing\n", "- id: «valuing\n    show_if: {ratin: [self]}\n", "UnknownName",
     "'rating'"),
    ("condition_answer", "- id: valuing\n", "- id: «valuing\n    show_if: {rating: [me]}\n", "UnknownCategory", "self"),
    ("attention_without_expected", ATTENTION, "- id: «att1\n        text: {en: Choose., da: Vælg.}\n",
     "MissingExpected", "which answer"),
    ("too_small", "min_items: 2", "min_items: «0", "TooSmall", "'score' of construct 'trusting' must be at least 1"),
    ("bad_code", "{code: other, label", "{code: «o t, label", "BadCode", "no blanks"),
    ("colon_in_text", "en: It helps,", "en: It helps«: yes: x,", "YamlSyntax", "quote"),
    ("not_a_mapping", INSTRUMENT, "«- a\n- b\n", "NotAMapping", "keys and values"),
]  # fmt: skip


def marked(new: str, old: str) -> tuple[str, str]:
    """The changed text, and 'line:column' of the mark in it."""
    text = next(text for text in (SURVEY, INSTRUMENT) if old in text).replace(old, new, 1)
    before = text[: text.index("«")]
    return new.replace("«", ""), f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def faults(*numbers: int):
    """Parametrises by the faults of these cases of the list of bad inputs; without numbers, by all others."""
    cases = {fault: re.match(r"case_(\d+)_", fault[0]) for fault in FAULTS}
    chosen = [fault for fault, case in cases.items() if (int(case[1]) in numbers if case else not numbers)]
    return pytest.mark.parametrize(("old", "new", "code", "part"), [f[1:] for f in chosen], ids=[f[0] for f in chosen])


def located(written, old, new, code, part):
    """The fault is a sentence with its place in the file, from reading and from checking alike."""
    new, where = marked(new, old)
    folder = written(old, new)
    with pytest.raises(InstrumentError) as caught:
        coco.read_survey(folder)
    lines = str(caught.value).splitlines()
    found = [LOCATED.match(line) for line in lines]
    assert all(found), lines
    there = [line for line, one in zip(lines, found) if (one[4], f"{one[2]}:{one[3]}") == (code, where)]
    assert any(part in line for line in there), (where, lines)
    assert caught.value.code == found[0][4]
    assert [str(finding) for finding in coco.check_survey(folder)] == lines


@faults()
def test_each_fault_is_a_located_sentence(written, old, new, code, part):
    located(written, old, new, code, part)


@faults(2)
def test_case_2_an_id_stands_twice_and_both_places_are_named(written, old, new, code, part):
    located(written, old, new, code, part)


def test_case_2_the_first_place_is_in_the_message(written):
    with pytest.raises(InstrumentError, match=r"teamwork\.yaml:\d+:13: error DuplicateId: .*teamwork\.yaml:\d+:13"):
        coco.read_survey(written("id: tru2", "id: tru1"))


@faults(3)
def test_case_3_a_key_stands_twice(written, old, new, code, part):
    located(written, old, new, code, part)


@faults(4)
def test_case_4_nothing_is_taken_for_another_type(written, old, new, code, part):
    located(written, old, new, code, part)


@faults(5)
def test_case_5_a_scale_lists_an_unknown_item(written, old, new, code, part):
    located(written, old, new, code, part)


@faults(7)
def test_case_7_an_item_without_a_scale(written, old, new, code, part):
    located(written, old, new, code, part)


@faults(12)
def test_case_12_ids_that_look_alike(written, old, new, code, part):
    located(written, old, new, code, part)


@faults(13)
def test_case_13_ids_that_a_formula_would_read_otherwise(written, old, new, code, part):
    located(written, old, new, code, part)


@faults(14)
def test_case_14_nothing_is_run_and_no_path_leads_out(written, old, new, code, part):
    located(written, old, new, code, part)


@faults(15)
def test_case_15_a_newer_schema_is_not_read_in_part(written, old, new, code, part):
    located(written, old, new, code, part)


def test_case_1_empty_file(tmp_path):
    for text in ("", "\n# only a comment\n", "---\n", "{}"):
        (tmp_path / "empty.yaml").write_text(text)
        with pytest.raises(InstrumentError, match=r"empty.yaml:1:1: error EmptyInstrument") as caught:
            coco.read_instrument(tmp_path / "empty.yaml")
        assert caught.value.code == "EmptyInstrument"


def test_case_1_nothing_asked(tmp_path):
    (tmp_path / "i.yaml").write_text("schema: 1\nid: nothing\nversion: '0.1'\ntitle: {en: N}\nlanguages: [en]\n")
    with pytest.raises(InstrumentError) as caught:
        coco.read_instrument(tmp_path / "i.yaml")
    assert caught.value.code == "EmptyInstrument"


def test_case_4_words_that_other_readers_take_for_something_else(written):
    survey = coco.read_survey(written("{en: It helps, da: Det hjælper}", "{en: no, da: on}"))
    assert survey.items["val1"].text == {"en": "no", "da": "on"}


def test_case_7_reverse_item_without_scale(written):
    changed = INSTRUMENT.replace("    scale: agree5\n    items:\n      - id: val1", "    items:\n      - id: val1")
    with pytest.raises(InstrumentError) as caught:
        coco.read_survey(written(instrument=changed))
    assert "ReverseWithoutScale" in {finding.code for finding in caught.value.findings}


def test_case_6_an_item_belongs_to_one_construct_with_one_key(written):
    other = INSTRUMENT.replace("- id: val2\n", "- id: tru3\n        key: forward\n")
    with pytest.raises(InstrumentError) as caught:
        coco.read_survey(written(instrument=other, survey=SURVEY))
    assert caught.value.code == "DuplicateId"
    # a score may take the same item explicitly, with its own key
    explicit = SURVEY.replace("  total: {", "  both: {of: [tru3, valuing], label: {en: Both, da: Begge}}\n  total: {")
    survey = coco.read_survey(written(survey=explicit))
    assert survey.item_ids("both") == ["tru3", "val1", "val2", "val3"]
    assert survey.items["tru3"].key == -1


@pytest.mark.parametrize(
    ("data", "byte"),
    [
        (b"\xff\xfe" + "schema: 1".encode("utf-16-le"), 0),
        (b"\xfe\xff" + "schema: 1".encode("utf-16-be"), 0),
        (b"schema: 1\nid: a\x00b\n", 15),
        (b"schema: 1\ntitle: {en: caf\xe9}\n", 25),
        (b"\xef\xbb\xbfschema: 1\nid: \x07\n", 17),
    ],
)
def test_case_11_encoding_names_the_byte(tmp_path, data, byte):
    (tmp_path / "i.yaml").write_bytes(data)
    with pytest.raises(InstrumentError, match=rf"byte {byte}:") as caught:
        coco.read_instrument(tmp_path / "i.yaml")
    assert caught.value.code == "EncodingError"


def test_case_11_bom_and_mixed_newlines_are_read(tmp_path):
    lines = INSTRUMENT.splitlines()
    mixed = "".join(line + ("\r\n", "\n", "\r")[number % 3] for number, line in enumerate(lines))
    (tmp_path / "i.yaml").write_bytes(b"\xef\xbb\xbf" + mixed.encode())
    assert list(coco.read_instrument(tmp_path / "i.yaml").items)[:2] == ["tru1", "tru2"]


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n",
        "[" * 500,
        "{a: " * 500,
        "a:\n" + "".join("  " * i + "b:\n" for i in range(1, 200)),
        "- " * 400 + "x",
        "schema: " + "9" * 5000,
    ],
    ids=["laughs", "lists", "flow", "block", "sequences", "digits"],
)
def test_case_14_bombs_are_refused_quickly(tmp_path, text):
    (tmp_path / "i.yaml").write_text(text)
    with pytest.raises(InstrumentError):
        coco.read_instrument(tmp_path / "i.yaml")


def test_case_14_large_files_are_not_opened(tmp_path):
    (tmp_path / "i.yaml").write_bytes(b"#" * 5_000_000)
    with pytest.raises(InstrumentError) as caught:
        coco.read_instrument(tmp_path / "i.yaml")
    assert caught.value.code == "TooLarge"


def test_case_14_a_link_out_of_the_folder(written, tmp_path):
    folder = written()
    outside = tmp_path / "outside.yaml"
    (folder / "teamwork.yaml").rename(outside)
    (folder / "teamwork.yaml").symlink_to(outside)
    with pytest.raises(InstrumentError) as caught:
        coco.read_survey(folder)
    assert caught.value.code == "PathOutside"


def test_all_faults_of_all_files_come_together(written):
    folder = written(
        survey=SURVEY.replace("order: [consent", "oder: [consent"),
        instrument=INSTRUMENT.replace("role: outcome", "role: outcom").replace("key: reverse", "key: back"),
    )
    with pytest.raises(InstrumentError) as caught:
        coco.read_survey(folder)
    lines = str(caught.value).splitlines()
    assert len(lines) == 4  # one in the survey, a role and two keys in the instrument
    assert all(LOCATED.match(line) for line in lines)


def test_a_path_that_is_not_there(tmp_path):
    with pytest.raises(InstrumentError) as caught:
        coco.read_survey(tmp_path / "nowhere")
    assert caught.value.code == "NoSuchFile"


def test_a_misspelt_name_and_the_wrong_kind_of_file_say_what_was_meant(written):
    folder = written()
    for call, code, part in (
        (lambda: coco.read_survey("cocreatoin"), "NoSuchFile", "Did you mean 'cocreation'"),
        (lambda: coco.read_survey(folder / "teamwork.yaml"), "WrongFile", "read_instrument"),
        (lambda: coco.read_instrument(folder / "survey.yaml"), "WrongFile", "read_survey"),
    ):
        with pytest.raises(InstrumentError, match=part) as caught:
            call()
        assert caught.value.code == code
        assert caught.value.findings[0].place.line >= 1


HOSTILE = r"<script>alert(1)</script> \\input{/etc/passwd} [x](javascript:1) ${jndi} {{7*7}} =cmd|' /C calc'!A0"


def test_case_78_hostile_text_stays_the_text_it_is(written):
    quoted = HOSTILE.replace("'", "''")
    survey = coco.read_survey(written("{en: It helps,", f"{{en: '{quoted}',"))
    assert survey.items["val1"].text["en"] == HOSTILE
    assert survey.label("val1") == HOSTILE


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("code: 5, label: {en: strongly agree", "code: 7, label: {en: strongly agree", "UnequalCodes"),  # case 8
        ("      - id: val2\n        text: {en: It lasts, da: Det varer ved}\n        block: a\n", "", "FewItems"),
        ("overlap: [val1]", "overlap: [val9]", "UnknownOverlap"),
        ("- {code: 3, label: {en: neither, da: hverken eller}}",
         "- {code: 3, label: {en: somewhat agree, da: lidt enig}}", "UnbalancedScale"),
        ("id: tru3", "id: trul", "ConfusableIds"),
        ("en: It helps", "en: \"It \u202ehelps\"", "HiddenCharacter"),
    ],
)  # fmt: skip
def test_doubts_are_located_warnings(written, old, new, code):
    doubted(written, old, new, code)


@pytest.mark.parametrize(
    ("old", "new", "code", "words"),
    [
        ("licence: CC-BY-4.0\n", "", "LicenceMissing", "names no licence"),
        (
            "{en: It helps, da: Det hjælper}",
            "{en: It helps}",
            "TranslationMissing",
            "has no da; the survey is in en",
        ),
    ],
)
def test_case_16_a_missing_licence_or_translation_warns(written, old, new, code, words):
    assert words in doubted(written, old, new, code)


def doubted(written, old, new, code):
    """The first doubt of that code; all are warnings with their place."""
    findings = coco.read_survey(written(old, new)).findings()
    found = [finding for finding in findings if finding.code == code]
    assert found
    assert {finding.severity for finding in findings} == {"warning"}
    assert re.match(r"^.+\.yaml:\d+:\d+: warning [A-Za-z]+: .+[.?]$", str(found[0]))
    return str(found[0])


def test_the_demo_survey_raises_no_doubt(written):
    assert coco.read_survey(written()).findings() == ()


def test_case_8_reversal_by_the_map_of_codes(written):
    survey = coco.read_survey(written("code: 5, label: {en: strongly agree", "code: 7, label: {en: strongly agree"))
    assert survey.items["tru3"].scale.reversal == {1: 7, 2: 4, 3: 3, 4: 2, 7: 1}


SWAPPED = """\
  agree5b:
    points:
      - {code: 1, label: {en: strongly agree, da: helt enig}}
      - {code: 2, label: {en: agree, da: enig}}
      - {code: 3, label: {en: neither, da: hverken eller}}
      - {code: 4, label: {en: disagree, da: uenig}}
      - {code: 5, label: {en: strongly disagree, da: helt uenig}}
constructs:
"""


def test_case_9_swapped_labels(written):
    findings = coco.read_survey(written("constructs:\n", SWAPPED)).findings()
    assert [finding.code for finding in findings] == ["ScaleDirection"]
    assert "'agree5b'" in findings[0].sentence


def test_case_10_options_differ_within_one_scale(written):
    three = "  three:\n    minimum: 0\n    maximum: 10\nconstructs:\n"
    changed = INSTRUMENT.replace("constructs:\n", three).replace("id: val2\n", "id: val2\n        scale: three\n")
    assert [f.code for f in coco.read_survey(written(instrument=changed)).findings()] == ["OptionsDiffer"]
    rescaled = changed.replace("role: outcome\n", "role: outcome\n    score: {rescale: percent}\n")
    assert coco.read_survey(written(instrument=rescaled)).findings() == ()


def test_random_damage_never_ends_in_a_traceback(written):
    """Delete each line, and each character class, in turn: read or refused, nothing else."""
    lines = INSTRUMENT.splitlines(keepends=True)
    for number in range(len(lines)):
        folder = written(instrument="".join(lines[:number] + lines[number + 1 :]))
        with contextlib.suppress(InstrumentError):
            coco.read_survey(folder)
        assert all(finding.place.line > 0 for finding in coco.check_survey(folder))


def test_reading_costs_no_heavy_import():
    code = "import sys, cocoanalysis as c; c.read_survey; print({'pandas', 'scipy', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("text", ["- a\n", "hello\n", "5\n"])
def test_a_survey_that_is_no_mapping(tmp_path, text):
    (tmp_path / "survey.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InstrumentError) as raised:
        coco.read_survey(tmp_path)
    assert raised.value.code == "NotAMapping"
