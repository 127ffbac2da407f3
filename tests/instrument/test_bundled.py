"""The surveys that come with the package: they load, and ask what they promise."""

import pytest

import cocoanalysis as coco
from cocoanalysis.instrument.reading import bundled_folder

NAMES = sorted(path.parent.name for path in bundled_folder().glob("*/survey.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_loads_by_name_without_faults(name):
    survey = coco.read_survey(name)
    assert survey.folder == coco.bundled(name)
    assert survey.measurement_model()
    assert not {"TranslationMissing", "LicenceMissing", "ScaleDirection"} & {f.code for f in survey.findings()}


@pytest.mark.parametrize("name", NAMES)
def test_every_text_is_there_in_every_language_and_address(name):
    survey = coco.read_survey(name)
    for item in survey.items.values():
        for address in ("other", "self"):
            assert all(item.question(language, address).strip() for language in survey.languages)
