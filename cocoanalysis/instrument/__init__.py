"""What is asked? Instrument files in, a frozen survey out, and everything one does to questions.

Reading, in the order of the flow::

    yamlfile → validation (against fileform) → instrumentfile, extending, surveyfile → model
    findings: faults and doubts, each with file, line and column
    checking, wording: doubts about any survey · lints: what a platform would do to it
    reading: the doors (read_survey, read_instrument, check_survey, bundled)

Adapting: `adapting` (copy or extend), `comparing` (two versions), `translating` (sheets),
`drafting` from `structures` of other programs' files (`statfile` for SPSS and Stata), `editors`
(JSON Schema and the manual's page on the files).

To add a check, a platform's lint or a kind of file to draft from: one registered function in
`checking`, `lints` or `structures`. To add a key to the files: a field in `fileform`, its home in
`model`, and ``python -m cocoanalysis.instrument.editors``.
"""
