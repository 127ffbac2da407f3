"""Surveys on public leadership and co-created public value: instrument → responses → measurement → propositions → report.

The public names, in the order of the analysis.
"""

from cocoanalysis.errors import CocoError, CocoWarning

__all__ = ["CocoError", "CocoWarning"]
