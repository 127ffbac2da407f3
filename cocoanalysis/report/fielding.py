"""While the survey is in the field: how many answered in each collaboration, and how reliable its means are by now.

No answer and no mean is shown, so that nobody who waits for results, or decides when to stop, can be led by them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from cocoanalysis.arguments import of_responses
from cocoanalysis.errors import ModelError
from cocoanalysis.measurement.aggregation import icc
from cocoanalysis.responses.disclosure import free

ALL = "all"


def interim(responses: Any, scales: Sequence[str] | None = None, invited: pd.DataFrame | None = None) -> pd.DataFrame:
    """Responses and ICC(2) so far, by collaboration.

    Parameters
    ----------
    responses : Responses
    scales : constructs or scores; None takes the survey's defined scores, or its constructs if it has none
    invited : the list of invitations, for the number invited

    Returns
    -------
    DataFrame, one row a collaboration and a last row for all: collaboration, invited, responses, complete, rate,
    and for each scale ``icc2_SCALE``: the reliability of that collaboration's mean from its number of answers,
    k ICC(1) / (1 + (k − 1) ICC(1)); in the last row ICC(2) of all collaborations (Bliese, 2000). It is missing
    where it cannot be computed yet.

    Raises
    ------
    ModelError : NoCollaborations
    """
    survey, frame = of_responses(responses).survey, responses.frame
    group = survey.collaboration or survey.cluster
    if not group or group not in frame:
        raise ModelError("The responses have no column that names the collaboration.", code="NoCollaborations")
    if invited is not None and group not in invited:
        raise ModelError(f"The list of invitations has no column '{group}'.", code="NoCollaborations")
    frame = frame.assign(**{group: _known_names(frame[group], group, invited, free(responses.provenance))})
    table = _counted(frame, group, invited)
    for scale in scales if scales is not None else [*survey.scores] or [*survey.constructs]:
        table[f"icc2_{scale}"] = _reliabilities(responses, str(scale), group).reindex(table.index)
    return table.rename_axis("collaboration").reset_index()


FEW = 3  # responses from which a name is taken for a collaboration's, where no list says which there are
OTHERS = "others"


def _known_names(names: pd.Series, group: str, invited: pd.DataFrame | None, free_to_show: bool) -> pd.Series:
    """The collaborations' names as they may be shown: one that is on no list may be a person's own words.

    With a list of invitations a name that is not on it is counted under 'others', without a list a name that
    fewer than three responses give.
    """
    text = names.astype("str")
    if free_to_show:
        return text
    sizes = text.value_counts()
    known = set(invited[group].astype(str)) if invited is not None else set(sizes[sizes >= FEW].index)
    return text.where(text.isin(known) | text.isna(), OTHERS)


def _counted(frame: pd.DataFrame, group: str, invited: pd.DataFrame | None) -> pd.DataFrame:
    """Invited, responses, complete and rate, by collaboration and for all."""
    answered = frame[group].dropna().astype(str)
    complete = frame["complete"].fillna(False).astype(bool) if "complete" in frame else pd.Series(True, frame.index)
    counts = {"responses": answered.value_counts(), "complete": answered[complete[answered.index]].value_counts()}
    if invited is not None:
        counts = {"invited": invited[group].astype(str).value_counts(), **counts}
    table = pd.DataFrame(counts).fillna(0).astype(int).sort_index()
    table.loc[ALL] = table.sum()
    if invited is not None:
        table["rate"] = (table["responses"] / table["invited"].where(table["invited"] > 0)).astype(float)
    return table


def _reliabilities(responses: Any, scale: str, group: str) -> pd.Series:
    """The reliability of each collaboration's mean, and ICC(2) under 'all'; empty where there is none yet."""
    try:
        found = icc(responses, [scale], group)
    except ModelError:  # too few answers so far: the columns stay empty until there are enough
        return pd.Series(dtype=float)
    means = found.groups().set_index("group")["reliability"].astype(float)
    means.index = means.index.astype(str)
    return pd.concat([means, pd.Series({ALL: float(found.tidy()["icc2"].iloc[0])})])
