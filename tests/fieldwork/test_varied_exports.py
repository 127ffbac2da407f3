"""Exports as different accounts, versions and spreadsheets write them: the same four people, always the same answers.

All files are made here, in the shapes that the platforms document; nobody answered.
"""

import csv
import io
import json
import unicodedata
import zipfile

import pandas as pd
import pytest

import cocoanalysis as coco
from cocoanalysis.errors import CocoError
from tests.responses.test_multiple import ANSWERS, CODES, COLUMNS, DANISH, WITH_SECTORS, WORDS
from tests.small import ITEMS, written

TRUTH = pd.DataFrame(
    {
        "person": ["007", "008", "009", "010"],
        "team": ["a", "a", "b", "b"],
        "tru1": ["1", "2", "3", "4"],
        "tru2": ["5", "98", "2", "1"],
        "tru3": ["2", "", "4", "5"],
        "tru4": ["1", "99", "2", "3"],
        "eff1": ["4", "5", "3", "2"],
        "eff2": ["1", "2", "3", "4"],
        "eff3": ["2", "3", "4", "5"],
        "ste1": ["1", "2", "3", "5"],
        "ste2": ["5", "3", "2", "1"],
        "att1": ["2", "2", "2", "3"],
        "sector": ["public", "private", "refused", ""],
        "years": ["3", "2.5", "10", "0.5"],
        "remark": ["fine, thanks", "", 'æøå "so"', "=1+1"],
    }
)
ONE = ["sector", "years", "remark"]
ROWS = len(TRUTH)


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    return coco.read_survey(written(tmp_path_factory.mktemp("varied"), instrument=WITH_SECTORS))


@pytest.fixture(scope="module")
def truth(survey, tmp_path_factory):
    path = tmp_path_factory.mktemp("truth") / "tidy.csv"
    TRUTH.assign(sectors=[";".join(sorted(given)) for given in ANSWERS]).to_csv(path, index=False)
    return coco.read_responses(path, survey)


def label(survey, id, code, language):
    if id in survey.items:
        scale = survey.items[id].scale
        known = {**{str(c): told for c, told in scale.labels(language).items()}, **scale.missing_labels(language)}
    else:
        one = survey.background[id]
        known = {**one.labels(language), **{gap.code: gap.label[language] for gap in one.missing}}
    return known.get(code, code)


class Asked:
    """The survey's questions and the four people's answers, in codes or in words of one language."""

    def __init__(self, survey, language="en", words=True):
        self.survey, self.language = survey, language
        self.cells = TRUTH.copy()
        self.options = {code: (WORDS if language == "en" else DANISH)[code] for code in CODES}
        self.words = words
        if words:
            for id in [*ITEMS, "sector"]:
                self.cells[id] = [label(survey, id, code, language) for code in TRUTH[id]]

    def stem(self, id):
        return self.survey.items[id].stem.get(self.language, "") if id in self.survey.items else ""

    def text(self, id):
        one = self.survey.items.get(id) or self.survey.background[id]
        return one.wording(self.language) if id in self.survey.items else one.question[self.language]

    def joined(self, mark, end=""):
        told = self.options if self.words else {code: code for code in CODES}
        return [mark.join(told[code] for code in CODES if code in given) + (end if given else "") for given in ANSWERS]

    def split(self, yes, no="", empty=""):
        return {code: [(yes if code in one else no) if one else empty for one in ANSWERS] for code in CODES}


def table(columns, above=(), mark=",", ends="\r\n", quoting=csv.QUOTE_MINIMAL):
    text = io.StringIO()
    out = csv.writer(text, delimiter=mark, lineterminator=ends, quoting=quoting)
    out.writerows([*above, [name for name, _ in columns], *zip(*(cells for _, cells in columns))])
    return text.getvalue()


def constant(**columns):
    return [(name.replace("__", " "), [cell] * ROWS) for name, cell in columns.items()]


def qualtrics(survey, language="en", words=True, mark=",", markup=False, split=True):
    """Names of the account's own (Q1_1), question texts, ImportIds; timing, order, score and text columns beside."""
    asked = Asked(survey, language, words)
    columns = [
        (name, name, id, [cell] * ROWS)
        for name, id, cell in (
            ("StartDate", "startDate", "2026-03-01 10:00:00"),
            ("EndDate", "endDate", "2026-03-01 10:05:00"),
            ("Status", "status", "IP Address"),
            ("IPAddress", "ipAddress", "10.0.0.1"),
            ("Progress", "progress", "100"),
            ("Duration (in seconds)", "duration", "300"),
            ("Finished", "finished", "True"),
            ("RecipientEmail", "recipientEmail", "somebody@example.org"),
            ("LocationLatitude", "locationLatitude", "55.6"),
            ("Q9_First Click", "QID9_FIRST_CLICK", "1.5"),
            ("FL_12_DO", "FL_12_DO", "FL_1|FL_2"),
            ("SC0", "SC_0abc", "12"),
        )
    ]
    columns.append(("ResponseId", "Response ID", "_recordId", [f"R_{row}" for row in range(ROWS)]))
    for number, id in enumerate([*ITEMS, *ONE], start=1):
        stem = asked.stem(id)
        text = f"{stem} - {asked.text(id)}" if stem else asked.text(id)
        text = f"<b>{text}</b>".replace("'", "&#39;") if markup else text
        more = " - Selected Choice" if id == "sector" else ""
        columns.append((f"Q{number}", text + more, f"QID{number}", list(asked.cells[id])))
    if split:
        for number, (code, cells) in enumerate(asked.split("x").items(), start=1):
            told = [cell and (asked.options[code] if words else "1") for cell in cells]
            text = f"{asked.text('sectors')} - Selected Choice - {asked.options[code]}"
            columns.append((f"Q50_{number}", text, f"QID50_{number}", told))
        columns.append(("Q50_4_TEXT", "other - Text", "QID50_4_TEXT", ["", "", "a church", ""]))
    else:
        columns.append(("Q50", f"{asked.text('sectors')} - Selected Choice", "QID50", asked.joined(",")))
    columns += [(name, name, name, list(TRUTH[name])) for name in ("person", "team")]
    above = [[one[0] for one in columns], [one[1] for one in columns]]
    return table([(json.dumps({"ImportId": one[2]}), one[3]) for one in columns], above, mark)


LIME = constant(submitdate="2026-03-01 10:05:00", lastpage="4", startlanguage="en", ipaddr="10.0.0.1")


def limesurvey(survey, heads="code", language="en", words=False, own=str, hidden="", mark=","):
    """Codes, full texts or both above codes (also LimeSurvey's own A1, A2 …) or full answers."""
    asked = Asked(survey, language, words)
    names = {"submitdate": "Date submitted", "lastpage": "Last page", "startlanguage": "Start language"}
    columns = [("id", [str(row) for row in range(ROWS)]), *LIME]
    english = {"id": "Response ID", "ipaddr": "IP address", **names}
    spelled = {"code": "{0}", "text": "{1}", "both": "{0}. {1}"}[heads]
    columns = [(spelled.format(name, english.get(name, name)), cells) for name, cells in columns]
    for id in [*ITEMS, *ONE]:
        array = id.startswith("tru")
        code, text = (f"trust[{id}]", f"{asked.stem(id)} [{asked.text(id)}]") if array else (id, asked.text(id))
        cells = [own(cell) if cell and id in ITEMS else cell for cell in asked.cells[id]]
        columns.append((spelled.format(code, text), cells))
    for code, cells in asked.split("Yes" if words else "Y", "No" if words else "", hidden).items():
        told = ["", "", "a church", hidden] if code == "other" else cells
        heading = (f"sectors[{code}]", f"{asked.text('sectors')} [{asked.options[code]}]")
        columns.append((spelled.format(*heading), told))
    columns += [(spelled.format(name, name), list(TRUTH[name])) for name in ("person", "team")]
    return table(columns, mark=mark, quoting=csv.QUOTE_ALL, ends="\n")


def xlsform(survey, language="en", words=False, labels=False, prefix="g_trust/", own="kobo", ends="/"):
    """Kobo, ODK Central and SurveyCTO: groups before the names, or labels for names and answers."""
    asked = Asked(survey, language, words)
    columns = [
        (asked.text(id) if labels else (prefix if id.startswith("tru") else "") + id, list(asked.cells[id]))
        for id in [*ITEMS, *ONE]
    ]
    name = asked.text("sectors") if labels else "sectors"
    columns.append((name, asked.joined(" ")))
    for code, cells in asked.split("1", "0").items():
        columns.append((f"{name}{ends}{asked.options[code] if labels else code}", cells))
    columns += [(name, list(TRUTH[name])) for name in ("person", "team")]
    ids = [f"uuid:{row}" for row in range(ROWS)]
    technical = {
        "kobo": [*constant(start="2026-03-01T10:00:00.000+01:00", end="2026-03-01T10:05:00.000+01:00"), ("_uuid", ids),
                 ("_id", ids), *constant(_validation_status="", _submitted_by="somebody", _index="1")],
        "central": [*constant(SubmissionDate="2026-03-01T10:05:03.000Z", SubmitterName="Somebody"), ("KEY", ids)],
        "cto": [*constant(starttime="Mar 1, 2026 10:00:00 AM", endtime="Mar 1, 2026 10:05:00 AM", duration="300",
                          SubmissionDate="Mar 1, 2026", device_info="x"), ("KEY", ids)],
    }  # fmt: skip
    return table([*columns, *technical[own]])


def redcap(survey, labels=False, events=False, record="record_id"):
    asked = Asked(survey, words=labels)
    columns = [("Study ID" if labels else record, [str(row) for row in range(1, ROWS + 1)])]
    columns += constant(redcap_event_name="first_arm_1") if events else []
    columns += constant(redcap_survey_identifier="") if not labels else constant(Survey__Timestamp="2026-03-01")
    columns += [(asked.text(id) if labels else id, list(asked.cells[id])) for id in [*ITEMS, *ONE]]
    for code, label in {**asked.options, "98": "no answer"}.items():
        told = [("Checked" if labels else "1") if code in one else ("Unchecked" if labels else "0") for one in ANSWERS]
        name = f"{asked.text('sectors')} (choice={label})" if labels else f"sectors___{code}"
        columns.append((name, told))
    columns += [(name, list(TRUTH[name])) for name in ("person", "team")]
    columns += constant(**{"Complete?": "Complete"}) if labels else constant(small_complete="2")
    if events:  # each person has a second, empty row of another event
        columns = [
            (name, [cell for one in cells for cell in (one, one if name == record else events_of(name))])
            for name, cells in columns
        ]
    return table(columns)


def events_of(name):
    return "later_arm_1" if name == "redcap_event_name" else "0" if "___" in name or "_complete" in name else ""


def surveymonkey(survey):
    asked = Asked(survey)
    heads = ["Respondent ID", "Collector ID", "Start Date", "End Date", "IP Address", "First Name"]
    below = [""] * len(heads)
    cells = [[str(118000 + row) for row in range(ROWS)], ["4"] * ROWS]
    cells += [["31/03/2026 10:00:00"] * ROWS, ["31/03/2026 10:05:00"] * ROWS, ["10.0.0.1"] * ROWS, ["Bo"] * ROWS]
    for id in [*ITEMS, *ONE, "person", "team"]:
        matrix = id.startswith("tru")
        heads.append(asked.stem(id) if id == "tru1" else "" if matrix else asked.text(id))
        below.append(asked.text(id) if matrix else "Open-Ended Response" if id in ("years", "remark") else "Response")
        cells.append(list(asked.cells[id] if id in asked.cells else TRUTH[id]))
    for code, told in asked.split("x").items():
        heads.append(asked.text("sectors") if code == "public" else "")
        below.append("Other (please specify)" if code == "other" else asked.options[code])
        cells.append([cell and ("a church" if code == "other" else asked.options[code]) for cell in told])
    return table(list(zip(below, cells)), [heads])


def webform(survey, own, language="en", mark=", ", end="", grid="{0} [{1}]"):
    asked = Asked(survey, language)
    columns = list(own)
    for id in [*ITEMS, *ONE, "person", "team"]:
        stem = asked.stem(id)
        columns.append((grid.format(stem, asked.text(id)) if stem else asked.text(id), list(asked.cells[id])))
    return table([*columns, (asked.text("sectors"), asked.joined(mark, end))])


GOOGLE = constant(Timestamp="2026/03/01 10:05:00 AM GMT+1", Email__Address="somebody@example.org")
GOOGLE_DA = constant(Tidsstempel="01-03-2026 10.05.00", Mailadresse="somebody@example.org")
MICROSOFT = [
    ("ID", [str(row) for row in range(1, ROWS + 1)]),
    *constant(Start__time="3/1/26 10:00:00", Completion__time="3/1/26 10:05:00", Email="anonymous", Name="Somebody"),
]


def results(survey):
    """What SurveyJS keeps: one object a person, arrays for several answers, nothing for what was not answered."""
    made = []
    for row, one in TRUTH.iterrows():
        items = {id: int(one[id]) for id in ITEMS if one[id]}
        told = {"trust": {id: code for id, code in items.items() if id.startswith("tru")}}
        told |= {id: code for id, code in items.items() if not id.startswith("tru")}
        told |= {id: one[id] for id in ("person", "team", "sector", "remark") if one[id]}
        told |= {"years": float(one["years"])} | ({"sectors": sorted(ANSWERS[row])} if ANSWERS[row] else {})
        made.append(told)
    return made


def spoilt(survey, change, **more):
    """A tidy table after somebody's spreadsheet: `change` is made to every answer to an item."""
    cells = Asked(survey, **more).cells
    cells[ITEMS] = cells[ITEMS].map(lambda cell: change(cell) if cell else cell)
    return cells.assign(sectors=Asked(survey, words=False).joined(";"))


def flat(results, between):
    nested = [{f"trust{between}{id}": code for id, code in one["trust"].items()} for one in results]
    rest = [{id: json.dumps(told) if isinstance(told, list) else told for id, told in one.items()} for one in results]
    rows = [
        {**inner, **{id: told for id, told in outer.items() if id != "trust"}} for inner, outer in zip(nested, rest)
    ]
    return pd.DataFrame(rows).to_csv(index=False)


EXPORTS = {
    "qualtrics": {
        "words": qualtrics,
        "Danish words": lambda s: qualtrics(s, "da"),
        "codes, several in one cell": lambda s: qualtrics(s, words=False, split=False),
        "words, several in one cell": lambda s: qualtrics(s, "da", split=False),
        "texts with markup": lambda s: qualtrics(s, markup=True),
        "UTF-16, tabs": lambda s: qualtrics(s, mark="\t").encode("utf-16"),
    },
    "limesurvey": {
        "codes": limesurvey,
        "full texts": lambda s: limesurvey(s, "text"),
        "full texts and answers": lambda s: limesurvey(s, "text", "da", words=True),
        "codes and texts": lambda s: limesurvey(s, "both", words=True),
        "the platform's own codes": lambda s: limesurvey(s, own=lambda cell: f"A{cell}"),
        "the platform's newer codes": lambda s: limesurvey(s, own=lambda cell: f"AO{cell:0>2}"),
        "semicolons and mark": lambda s: "\ufeff" + limesurvey(s, mark=";"),
    },
    "xlsform": {
        "Kobo, names": xlsform,
        "Kobo, names and labels": lambda s: xlsform(s, words=True),
        "Kobo, labels": lambda s: xlsform(s, "da", words=True, labels=True),
        "ODK Central": lambda s: xlsform(s, prefix="g_trust-", own="central"),
        "SurveyCTO": lambda s: xlsform(s, prefix="", own="cto", ends="_"),
    },
    "redcap": {
        "raw": redcap,
        "labels": lambda s: redcap(s, labels=True),
        "another record field": lambda s: redcap(s, record="study_id"),
        "events": lambda s: redcap(s, events=True),
    },
    "surveymonkey": {"two header rows": surveymonkey},
    "webforms": {
        "Google": lambda s: webform(s, GOOGLE),
        "Google, Danish": lambda s: webform(s, GOOGLE_DA, "da"),
        "Microsoft": lambda s: webform(s, MICROSOFT, mark=";", end=";", grid="{1}"),
        "Microsoft, blanks that do not break": lambda s: webform(s, MICROSOFT, grid="{1}\u200b").replace(
            "o you", "o\xa0you"
        ),
    },
    "surveyjs": {
        "results": lambda s: json.dumps(results(s)),
        "one result a line": lambda s: "\n".join(json.dumps(one) for one in results(s)),
        "results under a name": lambda s: json.dumps({"Data": results(s), "ResultCount": ROWS}),
        "flattened": lambda s: flat(results(s), "."),
    },
    "tidy": {
        "flattened by a hyphen": lambda s: flat(results(s), "-"),
        "5.0": lambda s: spoilt(s, lambda cell: f"{cell}.0", words=False).to_csv(index=False),
        "5,0": lambda s: spoilt(s, lambda cell: f"{cell},0", words=False).to_csv(index=False, sep=";"),
        "blanks": lambda s: spoilt(s, lambda cell: f" {cell}\xa0 ", words=False).to_csv(index=False),
        "decomposed": lambda s: spoilt(s, lambda c: unicodedata.normalize("NFD", c), language="da").to_csv(index=False),
        "capitals": lambda s: spoilt(s, str.upper).to_csv(index=False),
        "rows numbered by R": lambda s: spoilt(s, str).to_csv(),
        "a line for Excel": lambda s: "sep=;\n" + spoilt(s, str).to_csv(index=False, sep=";"),
    },
}
ALL = [(platform, name) for platform, made in EXPORTS.items() for name in made]


def same(read, truth, more=("remark",)):
    """Equal answers and reasons of items and of the questions that every platform keeps."""
    columns = [*ITEMS, *COLUMNS, "sector", "years", "person", "team", *more]
    pd.testing.assert_frame_equal(read.frame[columns].reset_index(drop=True), truth.frame[columns])
    told, known = (one.missing[[*ITEMS, *COLUMNS]].astype(object).fillna("").to_numpy() for one in (read, truth))
    assert told.tolist() == known.tolist()
    assert not [name for name in read.frame if "@" in "".join(map(str, read.frame[name]))]  # nobody's address


@pytest.mark.parametrize(("platform", "name"), ALL)
def test_comes_back_whole(tmp_path, survey, truth, platform, name):
    content = EXPORTS[platform][name](survey)
    path = tmp_path / "export.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    read = coco.read_responses(path, survey)
    assert f"as {platform} " in read.ledger["rule"].iloc[0]
    same(read, truth)


@pytest.mark.parametrize("platform", ["qualtrics", "surveymonkey", "webforms", "xlsform"])
def test_workbooks_and_packed_files_come_back_whole(tmp_path, survey, truth, platform):
    content = next(iter(EXPORTS[platform].values()))(survey)
    rows = list(csv.reader(io.StringIO(content.replace("=1+1", "1+1"))))
    with pd.ExcelWriter(tmp_path / "export.xlsx") as book:
        pd.DataFrame({"notes": ["not the answers"]}).to_excel(book, sheet_name="about", index=False)
        pd.DataFrame(rows).to_excel(book, sheet_name="answers", header=False, index=False)
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("../../survey.csv", content)
        archive.writestr("survey-people.csv", "name,PARENT_KEY\nx,1\n")
        archive.writestr("media/photo.jpg", "x")
    for name in ("export.xlsx", "export.zip"):
        read = coco.read_responses(tmp_path / name, survey)
        assert f"as {platform} " in read.ledger["rule"].iloc[0]
        same(read, truth, [] if name.endswith("xlsx") else ["remark"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export.xlsx", "export.zip"]  # nothing was unpacked


def test_a_workbook_with_two_sheets_of_answers_is_asked_about(tmp_path, survey):
    with pd.ExcelWriter(tmp_path / "export.xlsx") as book:
        for wave in ("one", "two"):
            TRUTH.to_excel(book, sheet_name=wave, index=False)
    with pytest.raises(CocoError, match="'one', 'two'") as caught:
        coco.read_responses(tmp_path / "export.xlsx", survey)
    assert caught.value.code == "AmbiguousSheet"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"\x1f\x8b\x08 gzip", "NotATable"),
        (b"%PDF-1.7", "NotATable"),
        (b"ARROW1 feather", "NotATable"),
        (TRUTH.to_csv(index=False).encode("utf-16-le"), "NulByte"),
        (b"Export of 1 March\n" + TRUTH.to_csv(index=False).encode(), "RaggedRow"),
        (b'[{"trust": {"tru1": 3}}, 7]', "NotATable"),
        (b'[{"trust": ' * 100_000, "NotATable"),
    ],
)
def test_what_is_no_export_is_named_with_the_way_out(tmp_path, survey, content, code):
    path = tmp_path / "export.csv"
    path.write_bytes(content)
    with pytest.raises(CocoError) as caught:
        coco.read_responses(path, survey)
    assert caught.value.code == code
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("times", "seconds", "code"),
    [
        (("31/03/2026 10:00", "31/03/2026 10:10"), 600, None),
        (("03/31/2026 10:00:00 AM", "03/31/2026 01:00:00 PM"), 10800, None),
        (("31-03-2026 10.00.00", "31-03-2026 10.00.30"), 30, None),
        (("03/04/2026 23:59", "04/04/2026 00:01"), None, "AmbiguousDates"),
        (("yesterday", "today"), None, None),
    ],
)
def test_times_as_accounts_write_them(tmp_path, survey, times, seconds, code):
    path = tmp_path / "export.csv"
    TRUTH.assign(started=times[0], ended=times[1]).to_csv(path, index=False)
    read = coco.read_responses(path, survey)
    told = read.frame["seconds"].iloc[0] if "seconds" in read.frame else None
    assert told == seconds or (seconds is None and pd.isna(told))
    assert code is None or code in [one.code for one in read.diagnostics]


# Hostile content -------------------------------------------------------------------------------------


def packed(folder, content, name="survey.csv"):
    path = folder / "export.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return path


def test_case_37_a_packed_bomb_is_not_unpacked_whatever_its_header_says(tmp_path, survey):
    path = packed(tmp_path, b"0" * 60_000_000)
    with pytest.raises(CocoError) as caught:
        coco.read_responses(path, survey)
    assert caught.value.code == "TooLarge"
    size = (60_000_000).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(size, (1000).to_bytes(4, "little")))
    with pytest.raises(CocoError) as caught:
        coco.read_responses(path, survey)
    assert caught.value.code == "TruncatedFile"


@pytest.mark.parametrize("name", ["../../../survey.csv", "/etc/survey.csv", "C:\\survey.csv"])
def test_case_14_names_in_an_archive_lead_nowhere(tmp_path, survey, name):
    assert len(coco.read_responses(packed(tmp_path, TRUTH.to_csv(index=False), name), survey)) == ROWS
    assert [path.name for path in tmp_path.iterdir()] == ["export.zip"]


def test_case_32_a_formula_that_nothing_computed_is_the_text_that_it_is(tmp_path, survey):
    TRUTH.to_excel(tmp_path / "export.xlsx", index=False)  # which makes a formula of the answer '=1+1'
    read = coco.read_responses(tmp_path / "export.xlsx", survey)
    assert read.frame["remark"].tolist()[2:] == TRUTH["remark"].tolist()[2:]
    TRUTH.assign(tru1="=1+1").to_excel(tmp_path / "export.xlsx", index=False)
    with pytest.raises(CocoError, match="'tru1': 4 cells hold a text that is no label") as caught:
        coco.read_responses(tmp_path / "export.xlsx", survey)
    assert caught.value.code == "UnknownLabel"


def spoiled(folder, column, cell):
    """The file with that cell in its first row."""
    path = folder / "export.csv"
    TRUTH.assign(**{column: [cell, *[""] * (ROWS - 1)]}).to_csv(path, index=False)
    return path


@pytest.mark.parametrize(("column", "cell"), [("remark", "x" * 11_000_000), ("team", "a\x07\x1b[31mb")])
def test_case_37_long_and_strange_texts_are_only_texts(tmp_path, survey, column, cell):
    assert coco.read_responses(spoiled(tmp_path, column, cell), survey).frame[column].iloc[0] == cell


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("tru1", "1" * 100_000),
        ("years", "1" * 100_000),
        ("sectors", "public " * 2_000 + "x"),
        ("sectors", "[" * 5_000 + "]" * 5_000),
    ],
)
def test_case_37_long_answers_are_refused_in_a_short_sentence(tmp_path, survey, column, cell):
    with pytest.raises(CocoError) as caught:
        coco.read_responses(spoiled(tmp_path, column, cell), survey)
    assert caught.value.code == "OutsideOptions"
    assert len(str(caught.value)) < 2_000


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "<script>alert(1)</script>", "a-" * 20_000, "<" * 100_000])
def test_case_78_names_of_columns_are_only_names(tmp_path, survey, name):
    path = tmp_path / "export.csv"
    TRUTH.rename(columns={"remark": name}).to_csv(path, index=False)
    read = coco.read_responses(path, survey)
    assert read.unmatched["column"].tolist() == [name]
    assert max(map(len, read.ledger["rule"])) < 1_000
    assert "<script>" not in read._repr_html_()


def test_case_37_thousands_of_columns_are_read_at_once(tmp_path, survey, truth):
    more = pd.DataFrame({f"Question {place} that is none of ours": ["1"] * ROWS for place in range(3_000)})
    path = tmp_path / "export.csv"
    pd.concat([TRUTH.assign(sectors=truth.frame[COLUMNS[0]].map({True: "public", False: "3"})), more], axis=1).to_csv(
        path, index=False
    )
    read = coco.read_responses(path, survey)
    assert len(read.unmatched) == 3_000
    assert read.frame["tru1"].tolist() == truth.frame["tru1"].tolist()
