"""Pseudonyms for people, collaborations and organisations, made with a key that stays elsewhere.

The same id and key give the same pseudonym in every wave; without the key nobody can find the
id by trying ids out. Keep the key outside the project's repository, and destroy it when the
data are to be anonymous.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from cocoanalysis.errors import DisclosureError, ResponseError, listed
from cocoanalysis.responses.ledger import entry

LENGTH = 12  # hexadecimal digits: 48 bits, so that collisions are refused rather than met


def new_key(path: str | Path) -> Path:
    """Write a random key to a new file that only you can read, outside any repository.

    Raises
    ------
    DisclosureError : KeyInRepository, KeyExists
    """
    target = _outside(path)
    try:
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise DisclosureError(
            f"There is a key at {target} already; a new one would break the link to earlier waves. Use it, or another "
            "file name.",
            code="KeyExists",
        ) from error
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32) + "\n")
    return target


def read_key(path: str | Path) -> bytes:
    """The key in a file outside any repository.

    Raises
    ------
    DisclosureError : KeyInRepository, NoKey, WeakKey
    """
    target = _outside(path)
    if not target.is_file():
        raise DisclosureError(f"There is no key at {target}; make one with pseudonyms.new_key.", code="NoKey")
    key = target.read_text(encoding="utf-8").strip().encode()
    if len(key) < 32:
        raise DisclosureError(
            f"The key at {target} has {len(key)} characters; fewer than 32 can be guessed. Make one with "
            "pseudonyms.new_key.",
            code="WeakKey",
        )
    return key


def _outside(path: str | Path) -> Path:
    target = Path(path).expanduser().resolve()
    for folder in target.parents:
        if (folder / ".git").exists():
            raise DisclosureError(
                f"The key may not lie in the repository {folder}: whoever gets the data from there gets the key too. "
                f"Keep "
                "it in your home folder or on another drive.",
                code="KeyInRepository",
            )
    return target


def pseudonym(id: str, key: bytes, kind: str = "") -> str:
    """The pseudonym of one id: the first digits of its keyed hash (HMAC-SHA-256)."""
    return hmac.new(key, f"{kind}\x1f{id}".encode(), hashlib.sha256).hexdigest()[:LENGTH]


def pseudonymised(responses: Any, key: str | Path | bytes) -> Any:
    """The responses with pseudonyms for respondents, clusters, organisations and response ids.

    Parameters
    ----------
    key : the file with the key, or the key itself

    Raises
    ------
    DisclosureError : KeyInRepository, NoKey, WeakKey
    ResponseError : PseudonymCollision
    """
    secret = key if isinstance(key, bytes) else read_key(key)
    survey = responses.survey
    kinds = [survey.respondent, getattr(survey, "collaboration", None), survey.cluster, survey.organisation, "response"]
    answers = responses.answers.copy(deep=False)
    done = []
    for name in dict.fromkeys(kind for kind in kinds if kind and kind in answers):
        ids = answers[name].dropna().astype(str).unique()
        made = {id: pseudonym(id, secret, name) for id in ids}
        if len(set(made.values())) < len(made):
            raise ResponseError(
                f"Two ids in '{name}' have the same pseudonym; use another key.", code="PseudonymCollision"
            )
        answers[name] = answers[name].map(made).astype("str")
        done.append(name)
    rows = len(answers)
    line = entry("recode", f"pseudonyms for {listed(done)}", rows, rows=rows, cells=rows * len(done))
    return replace(responses, answers=pd.DataFrame(answers), entries=(*responses.entries, line))
