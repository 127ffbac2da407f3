"""Google Forms and Microsoft Forms: spreadsheets whose headings are the question texts.

Their own columns (when a form was begun and sent, who was signed in) come first, in the owner's language.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cocoanalysis.fieldwork import spreadsheet
from cocoanalysis.fieldwork.platforms import Head, Options, Platform, Raw, Source, register

SENT = {"timestamp", "tidsstempel", "zeitstempel", "horodateur", "marca temporal", "tidsstämpel", "tijdstempel"}
BEGUN = {"start time", "starttidspunkt", "startzeit", "heure de début", "hora de inicio", "starttid", "begintijd"}
DONE = {"completion time", "fuldførelsestidspunkt", "fertigstellungszeit", "heure de fin", "hora de finalización"}
DONE |= {"fullføringstidspunkt", "slutförandetid", "tijd van voltooien"}


def sniff(head: Head) -> float:
    if head.kind not in ("text", "xlsx") or not head.columns:
        return 0.0
    names = {cell.strip().lower() for cell in head.columns[:4]}
    return 0.4 if names & BEGUN and names & DONE else 0.3 if head.columns[0].strip().lower() in SENT else 0.0


def read(source: Source, survey: Any, options: Options) -> Raw:
    """The table as it stands, its own columns by their headings in several languages."""
    raw = spreadsheet.read(source, survey, options)
    marks = {}
    for name in raw.columns[:4]:
        told = name.strip().lower()
        if told in BEGUN | DONE | SENT:
            marks[name] = "started" if told in BEGUN else "ended"
        elif told == "id" and name not in raw.bindings:
            marks[name] = "response"
    return replace(raw, bindings={**raw.bindings, **marks})


register(Platform("webforms", sniff=sniff, read=read, title="Google Forms or Microsoft Forms"))
