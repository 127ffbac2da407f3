"""Answers to a survey with every feature, in each platform's columns and codes, come back as they were given."""

import json

import pandas as pd
import pytest

import cocoanalysis as coco
from cocoanalysis.fieldwork import limesurvey, qualtrics, redcap, surveyjs, xlsform
from cocoanalysis.fieldwork.platforms import known_platforms
from cocoanalysis.fieldwork.questionnaire import SELF, asked_twice, questionnaire
from tests.fieldwork.everything import every

ROWS = [  # one answers about themselves and refuses, the other about a boss
    {"who": "p1", "rater": "me", "kindof": "a+b", "mixa": "2", "mixb": "-9", "years": "", "slida": "0"}
    | {"slidb": "100", "parts": "98", "words": "hi, \"you\"", "site": "n"},
    {"who": "p2", "rater": "boss", "kindof": "plain", "mixa": "1", "mixb": "2", "diffa": "1", "diffb": "10"}
    | {"slida": "33", "parts": "private_firm", "bank": "none", "words": "", "site": "s"},
    {"who": "p3", "rater": "boss", "kindof": "quitelongcode", "mixa": "-9", "years": "-1", "parts": "pub", "site": "n"},
]  # fmt: skip
TECHNICAL = {
    "limesurvey": {"id": "", "submitdate": "2026-01-01", "lastpage": "9", "startlanguage": "en"},
    "redcap": {"record_id": "", "every_complete": "2"},
    "xlsform": {"_id": "", "_uuid": "u", "_submission_time": "2026-01-05T10:20:00"},
    "surveyjs": {},
    "qualtrics": {"Status": "0", "Finished": "1", "ResponseId": ""},
}
CELLS = {"limesurvey": "{}[{}]", "surveyjs": "{}.{}"}  # an item of a grid; others call it by its id
TICKS = {"limesurvey": ("parts[{}]", "Y", ""), "redcap": ("parts___{}", "1", "0")}
CODES = {one.__name__.rpartition(".")[2]: one.platform_codes for one in (limesurvey, qualtrics, redcap, xlsform)}


def exported(platform):
    """The rows in the platform's columns: grids, both forms of address, ticks, its own codes."""
    columns = {name: [value or str(i + 1) for i in range(len(ROWS))] for name, value in TECHNICAL[platform].items()}
    columns |= {"who": [row["who"] for row in ROWS]}
    columns |= {"consent": [{"limesurvey": "Y", "qualtrics": "1"}.get(platform, "yes")] * len(ROWS)}
    for section in questionnaire(every()).sections:
        for said, part in asked_twice(section) if platform != "limesurvey" else [(None, section)]:
            for question in part.questions:
                codes = CODES[platform](question) if platform in CODES else {}
                told = [cell(row, question.id.removesuffix(SELF), said, codes) for row in ROWS]
                if question.kind == "multiple" and platform in TICKS:
                    name, yes, no = TICKS[platform]
                    columns |= {
                        name.format(code): [yes if code == one else no for one in told] for code in codes.values()
                    }
                elif question.kind != "consent":
                    name = CELLS.get(platform, "{}.{}").format(part.id, question.id)
                    columns[name if part.grid and platform in CELLS else question.id] = told
    return columns


def cell(row, id, said, codes):
    shown = said is None or (said == "self") == (row["rater"] == "me")
    return codes.get(row.get(id, ""), row.get(id, "")) if shown else ""


@pytest.mark.parametrize("platform", sorted(TECHNICAL))
def test_every_answer_comes_back(tmp_path, platform):
    code_map = known_platforms()[platform].write(every(), tmp_path / "form.out")[-1]
    table, file = pd.DataFrame(exported(platform)), tmp_path / "export.csv"
    if platform == "qualtrics":
        names = {"Status": "status", "Finished": "finished", "ResponseId": "_recordId"}
        heads = [[f"Text of {name}" for name in table], [json.dumps({"ImportId": names.get(n, n)}) for n in table]]
        table = pd.concat([pd.DataFrame(heads, columns=table.columns), table])
    table.to_csv(file, index=False)
    back = coco.read_responses(file, every(), code_map=code_map, platform=platform)
    tidy = tmp_path / "tidy.csv"
    pd.DataFrame(ROWS).fillna("").to_csv(tidy, index=False)
    given = coco.read_responses(tidy, every())
    names = [name for name in given.frame if name in back.frame and name not in ("complete", "response")]
    assert {"mixa", "mixb", "diffa", "diffb", "slida", "sing", "years", "parts__pub", "site", "kindof"} <= set(names)
    for name in names:
        assert back.frame[name].astype(str).tolist() == given.frame[name].astype(str).tolist(), name
        told, came = (one.missing[name].astype(object).fillna("").tolist() for one in (given, back))
        assert came == told, name


def test_all_modules_with_codes_of_their_own_are_tried():
    assert set(CODES) | {"surveyjs"} == set(TECHNICAL)
    assert surveyjs.GRAMMAR.cell == CELLS["surveyjs"].format("{section}", "{id}")
