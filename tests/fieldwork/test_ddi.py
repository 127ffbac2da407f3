"""DDI Codebook 2.5: the content models of the published schema, ids that hold, every language."""

import re

import pytest
from lxml import etree

from cocoanalysis.fieldwork.ddi import LANG, write, write_for
from cocoanalysis.fieldwork.questionnaire import questionnaire
from tests.fieldwork.everything import every
from tests.fieldwork.roundtrip import HOSTILE, SURVEY, answered, hostile

# What an element may hold, in order, for the elements we write: transcribed from codebook.xsd of DDI Codebook 2.5
# (DDI Alliance, 2012-01-17; the whole schema is LGPL and not carried here). + at least once, ? at most once, * any
# number, nothing: exactly once; "text" holds words, of qstn and the ranges the order is free.
CONTENT = {
    "codeBook": "docDscr* stdyDscr+ fileDscr* dataDscr* otherMat*",
    "stdyDscr": "citation+ studyAuthorization* stdyInfo* studyDevelopment* method* dataAccs* othrStdyMat* notes*",
    "citation": "titlStmt rspStmt? prodStmt? distStmt? serStmt* verStmt* biblCit? holdings* notes*",
    "titlStmt": "titl subTitl* altTitl* parTitl* IDNo*",
    "verStmt": "version? verResp? notes*",
    "stdyInfo": "studyBudget* subject* abstract* sumDscr* qualityStatement? notes* exPostEvaluation*",
    "sumDscr": "timePrd* collDate* nation* geogCover* geogUnit* geoBndBox? boundPoly? anlyUnit* universe* dataKind*",
    "method": "dataColl* notes* anlyInfo? stdyClas? dataProcessing* codingInstructions*",
    "dataColl": "timeMeth* dataCollector* collectorTraining* frequenc* sampProc* sampleFrame* targetSampleSize* "
    "deviat* collMode* resInstru* instrumentDevelopment* sources? collSitu* actMin* ConOps* weight* cleanOps*",
    "dataAccs": "setAvail* useStmt* notes*",
    "useStmt": "confDec? specPerm? restrctn? contact* citReq? deposReq? conditions? disclaimer?",
    "fileDscr": "fileTxt* locMap? notes*",
    "fileTxt": "fileName? fileCitation? fileCont? fileStrc? dimensns? fileType? format? filePlac? dataChck* ProcStat? "
    "dataMsng? software* verStmt?",
    "dimensns": "caseQnty* varQnty* logRecL* recPrCas* recNumTot*",
    "dataDscr": "varGrp* nCubeGrp* var* nCube* notes*",
    "varGrp": "labl* txt* concept* defntn? universe? notes*",
    "var": "location* labl* imputation? security? embargo? respUnit? anlysUnit? qstn* valrng* invalrng* undocCod* "
    "universe* TotlResp? sumStat* txt* stdCatgry* catgryGrp* catgry* codInstr* verStmt* concept* derivation? "
    "varFormat? geoMap* catLevel* notes*",
    "catgry": "catValu? labl* txt* catStat* mrow?",
    "qstn": "(preQTxt qstnLit postQTxt forward backward ivuInstr)*",
    "valrng": "(item range)+ key? notes*",
    "invalrng": "(item range)+ key? notes*",
    **dict.fromkeys(["item", "range"], ""),
    **dict.fromkeys(("titl", "parTitl", "IDNo", "version", "abstract", "anlyUnit", "resInstru", "conditions"), "text"),
    **dict.fromkeys(("fileName", "caseQnty", "varQnty", "labl", "txt", "concept", "universe"), "text"),
    **dict.fromkeys(("preQTxt", "qstnLit", "catValu", "varFormat"), "text"),
}
ATTRIBUTES = {  # of the elements we write: attribute → what it may be (None: any text)
    "codeBook": {"version": {"2.5"}},
    "fileDscr": {},
    "version": {"type": None},
    "varGrp": {"type": {"grid", "multipleResp", "section", "other"}, "name": None, "var": None},
    "var": {
        "name": None,
        "files": None,
        "intrvl": {"contin", "discrete"},
        "nature": {"nominal", "ordinal", "interval", "ratio", "percent", "other"},
        "representationType": {"text", "numeric", "code", "datetime", "other"},
    },
    "qstn": {
        "responseDomainType": {"text", "numeric", "code", "category", "datetime", "geographic", "multiple", "other"}
    },
    "item": {"VALUE": None},
    "range": {"UNITS": {"INT", "REAL"}, "min": None, "max": None},
    "catgry": {"missing": {"Y", "N"}, "missType": None},
    "varFormat": {"type": {"character", "numeric"}},
}
LANGUAGE = r"[a-zA-Z]{1,8}(-[a-zA-Z0-9]{1,8})*"  # xs:language
NAME = r"[A-Za-z_][\w.-]*"  # xs:ID


def pattern(content):
    """The content model as a regular expression over the names of the children, each followed by a blank."""
    told = re.sub(r"\(([^)]*)\)", lambda found: f"(?:{'|'.join(found[1].split())})", content)
    return "".join(f"(?:{re.sub('[+*?]$', '', part)} ){part[-1] if part[-1] in '+*?' else ''}" for part in told.split())


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    file, code_map = write(SURVEY, tmp_path_factory.mktemp("ddi") / "codebook.xml")
    assert code_map.is_file()
    return etree.parse(str(file)).getroot()


def local(element):
    return etree.QName(element).localname


def found(root, path):
    return root.xpath(path, namespaces={"d": "ddi:codebook:2_5"})


def follows_the_schema(root):
    for element in root.iter():
        name = local(element)
        content = CONTENT[name]
        if content == "text":
            assert len(element) == 0, name
        else:
            assert re.fullmatch(pattern(content), "".join(f"{local(child)} " for child in element)), name
            assert not (element.text or "").strip(), name
        for attribute, value in element.attrib.items():
            if attribute == LANG:
                assert re.fullmatch(LANGUAGE, value)
            elif attribute == "ID":
                assert re.fullmatch(NAME, value)
            else:
                allowed = ATTRIBUTES[name][attribute]
                assert allowed is None or value in allowed, (name, attribute, value)
        assert name != "var" or element.get("name")
        assert name != "item" or "VALUE" in element.attrib


def test_the_document_keeps_to_the_schema(root):
    assert (root.tag, root.get("version")) == ("{ddi:codebook:2_5}codeBook", "2.5")
    follows_the_schema(root)


@pytest.mark.parametrize(("form", "version"), [("short", None), ("core", None), ("planned", None), ("planned", 2)])
def test_so_does_every_form(tmp_path, form, version):
    follows_the_schema(etree.parse(str(write(SURVEY, tmp_path / "book.xml", form=form, version=version)[0])).getroot())


def test_so_does_a_survey_with_every_feature(tmp_path):
    root = etree.parse(str(write(every(), tmp_path / "book.xml")[0])).getroot()
    follows_the_schema(root)
    holds_together(root)
    slider, years = (found(root, f"//d:var[@name='{name}']")[0] for name in ("slida", "years"))
    assert found(slider, "d:valrng/d:range")[0].attrib == {"UNITS": "REAL", "min": "0", "max": "100"}
    assert [one.text for one in found(years, "d:catgry[@missing='Y']/d:catValu")] == ["-1"]
    assert {one.get("type") for one in found(root, "//d:var[@name='slida' or @name='years']/d:varFormat")} == {
        "numeric"
    }


def holds_together(root):
    ids = [element.get("ID") for element in root.iter() if element.get("ID")]
    assert len(ids) == len(set(ids))
    for element in root.iter():
        for name in ("files", "var"):
            assert set((element.get(name) or "").split()) <= set(ids)


def test_ids_are_unique_and_references_hold(root):
    holds_together(root)


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


def test_a_data_file_is_described_by_its_own_columns(tmp_path):
    responses = answered().screen()
    root = etree.parse(str(write_for(responses, tmp_path / "book.xml", "study-x_data.csv"))).getroot()
    follows_the_schema(root)
    holds_together(root)
    assert [one.get("name") for one in found(root, "//d:var")] == [*responses.frame, "provenance"]
    told = [found(root, f"//d:fileTxt//d:{name}")[0].text for name in ("fileName", "caseQnty", "varQnty")]
    assert told == ["study-x_data.csv", "40", str(len(responses.frame.columns) + 1)]
