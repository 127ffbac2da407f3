"""What platforms would do to a survey, one trap a case (the traps are those of the platforms' manuals)."""

import pytest

import cocoanalysis as coco
from cocoanalysis.errors import InstrumentError
from cocoanalysis.instrument.lints import LINTS

TRAPS = [  # (platform, old, new, code)
    ("limesurvey", "{en: It helps,", '{en: "It helps {TOKEN}",', "PlatformText"),
    ("limesurvey", "{en: It helps,", '{en: "<script>x</script>",', "PlatformText"),
    ("limesurvey", "{code: other, label", "{code: -9, label", "PlatformCode"),
    ("limesurvey", "id: team\n", "id: token\n", "PlatformId"),
    ("qualtrics", "{en: It helps,", '{en: "It helps ${e://Field/x}",', "PlatformText"),
    ("qualtrics", "{en: It helps,", '{en: "It [[Block]] helps",', "PlatformText"),
    ("qualtrics", "{en: It helps,", '{en: "It\\nhelps",', "PlatformText"),
    ("xlsform", "{en: It helps,", '{en: "It ${age} helps",', "PlatformText"),
    ("xlsform", "{en: It helps,", '{en: "It *really* helps",', "PlatformText"),
    ("xlsform", "{code: other, label", "{code: å, label", "PlatformCode"),
    ("redcap", "en: strongly agree", 'en: "agree | very"', "PlatformText"),
    ("redcap", "{en: It helps,", '{en: "It helps [name]",', "PlatformText"),
    ("surveyjs", "{en: It helps,", '{en: "It helps {name}",', "PlatformText"),
    ("spss", "en: strongly agree", f'en: "{"very " * 30}agree"', "PlatformLength"),
    ("stata", "{en: It helps,", f'{{en: "It {"really " * 15}helps",', "PlatformLength"),
]  # fmt: skip


@pytest.mark.parametrize(("platform", "old", "new", "code"), TRAPS)
def test_traps_are_found_and_located(written, platform, old, new, code):
    survey = {"reference: other": "reference: self", "other: other}": "other: '-9'}"}
    folder = written(old, new)
    if "code: other" in old:
        for file in folder.iterdir():
            text = file.read_text()
            for was, now in survey.items():
                text = text.replace(was, now.replace("-9", new.split(",")[0].removeprefix("{code: ")))
            file.write_text(text)
    if old == "id: team\n":
        (folder / "survey.yaml").write_text((folder / "survey.yaml").read_text().replace("team}", "token}"))
    plain = coco.check_survey(folder)
    added = [finding for finding in coco.check_survey(folder, platforms=[platform]) if finding not in plain]
    assert code in {finding.code for finding in added}
    assert {finding.severity for finding in added} == {"warning"}


@pytest.mark.parametrize("platform", sorted(set(LINTS) - {"limesurvey"}))
def test_the_demo_survey_is_fit_for_every_platform(written, platform):
    assert coco.check_survey(written(), platforms=[platform]) == []


def test_limesurvey_takes_other_as_a_code(written):
    assert coco.check_survey(written(), platforms=["limesurvey"]) == []


def test_unknown_platforms_are_named(written):
    with pytest.raises(InstrumentError, match="Did you mean 'redcap'") as caught:
        coco.check_survey(written(), platforms=["recap"])
    assert caught.value.code == "UnknownPlatform"
