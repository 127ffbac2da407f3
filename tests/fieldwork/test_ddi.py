"""DDI Codebook 2.5: elements in the order of the published schema, ids that hold, every language."""

import pytest
from lxml import etree

from cocoanalysis.fieldwork.ddi import LANG, write
from cocoanalysis.fieldwork.questionnaire import questionnaire
from tests.fieldwork.roundtrip import HOSTILE, SURVEY, hostile

ORDER = {  # from codebook.xsd, version 2.5: children of an element in their sequence
    "codeBook": ["docDscr", "stdyDscr", "fileDscr", "dataDscr", "otherMat"],
    "stdyDscr": ["citation", "studyAuthorization", "stdyInfo", "studyDevelopment", "method", "dataAccs", "othrStdyMat"],
    "citation": ["titlStmt", "rspStmt", "prodStmt", "distStmt", "serStmt", "verStmt", "biblCit", "holdings", "notes"],
    "titlStmt": ["titl", "subTitl", "altTitl", "parTitl", "IDNo"],
    "stdyInfo": ["studyBudget", "subject", "abstract", "sumDscr"],
    "fileTxt": ["fileName", "fileCitation", "dataFingerprint", "fileCont", "fileStrc", "dimensns", "fileType"],
    "dataDscr": ["varGrp", "nCubeGrp", "var", "nCube", "notes"],
    "varGrp": ["labl", "txt", "concept", "defntn", "universe", "notes"],
    "var": [
        *("location", "labl", "imputation", "security", "embargo", "respUnit", "anlysUnit", "qstn", "valrng"),
        *("invalrng", "undocCod", "universe", "TotlResp", "sumStat", "txt", "stdCatgry", "catgryGrp", "catgry"),
        *("codInstr", "verStmt", "concept", "derivation", "varFormat", "geoMap", "catLevel", "notes"),
    ],
    "catgry": ["catValu", "labl", "txt", "catStat", "mrow"],
    "qstn": ["preQTxt", "qstnLit", "postQTxt", "forward", "backward", "ivuInstr"],
}
NATURES = {"nominal", "ordinal", "interval", "ratio", "percent", "other"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    file, code_map = write(SURVEY, tmp_path_factory.mktemp("ddi") / "codebook.xml")
    assert code_map.is_file()
    return etree.parse(str(file)).getroot()


def local(element):
    return etree.QName(element).localname


def found(root, path):
    return root.xpath(path, namespaces={"d": "ddi:codebook:2_5"})


def test_children_stand_in_the_order_of_the_schema(root):
    assert (root.tag, root.get("version")) == ("{ddi:codebook:2_5}codeBook", "2.5")
    for element in root.iter():
        order = ORDER.get(local(element))
        if order is not None:
            places = [order.index(local(child)) for child in element]
            assert places == sorted(places), local(element)


def test_ids_are_unique_and_references_hold(root):
    ids = [element.get("ID") for element in root.iter() if element.get("ID")]
    assert len(ids) == len(set(ids))
    for element in root.iter():
        for name in ("files", "var"):
            assert set((element.get(name) or "").split()) <= set(ids)
    assert {one.get("nature") for one in found(root, "//d:var")} <= NATURES
    assert all(one.get("type") in ("numeric", "character") for one in found(root, "//d:varFormat"))


def test_every_question_is_there_in_every_language_and_address(root):
    asked = questionnaire(SURVEY)
    names = [one.get("name") for one in found(root, "//d:var")]
    assert names == [*asked.identifiers, *(question.id for question in asked.questions)]
    for item in SURVEY.items.values():
        told = found(root, f"//d:var[@name='{item.id}']/d:qstn/d:qstnLit")
        for language in SURVEY.languages:
            words = {item.wording(language, address) for address in ("other", "self")}
            assert words <= {one.text for one in told if one.get(LANG) == language}
        codes = found(root, f"//d:var[@name='{item.id}']/d:catgry[not(@missing)]/d:catValu")
        assert [one.text for one in codes] == [str(code) for code in item.scale.codes]
    gaps = found(root, "//d:var[@name='mob1']/d:catgry[@missing='Y']")
    assert [one.get("missType") for one in gaps] == ["cannot_judge", "refused"]
    stems = {one.text for one in found(root, "//d:var[@name='mob1']/d:qstn/d:preQTxt")}
    assert stems == {
        words for text in SURVEY.constructs["mobilising"].stem_by_address.values() for words in text.values()
    }


def test_case_78_hostile_words_stay_words(tmp_path):
    file = write(hostile(tmp_path), tmp_path / "codebook.xml")[0]
    root = etree.parse(str(file)).getroot()
    assert not found(root, "//*[local-name() = 'script']")
    assert found(root, "//d:var[@name='mob1']/d:labl")[0].text == HOSTILE
