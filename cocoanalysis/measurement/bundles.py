"""A fit as a folder that a co-author with R or Mplus can run: script, data, and our values beside them.

The syntax says everything itself, so that no default of another program decides; the R
script prints the largest difference from our values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cocoanalysis.errors import ModelError
from cocoanalysis.measurement.estimators import ESTIMATORS
from cocoanalysis.measurement.multilevel import refuse_two_level
from cocoanalysis.measurement.parameters import Parameter

MPLUS_NAME = 8  # letters of a name in Mplus
MISSING_CODE = -99999
MEASURES = {
    "chi2": "chisq", "df": "df", "cfi": "cfi", "tli": "tli", "rmsea": "rmsea", "srmr": "srmr", "loglik": "logl",
    "chi2_scaled": "chisq.scaled", "scaling_factor": "chisq.scaling.factor", "cfi_robust": "cfi.robust",
    "rmsea_robust": "rmsea.robust",
}  # fmt: skip
UNCLUSTERED = """# lavaan 0.6-14 leaves clusters aside when items are ordered: estimates and unscaled measures agree,
# standard errors and scaled measures do not, since ours let members of a cluster be alike.
"""
VERBS = {"=~": "BY", "~": "ON", "~~": "WITH"}


def write_lavaan(fit: Any, folder: str | Path) -> Path:
    """Write ``fit.R``, ``data.csv`` and ``values.csv`` into ``folder`` and return it."""
    place = _folder(folder)
    _data(fit).to_csv(place / "data.csv", index=False, na_rep="NA")
    _values(fit).to_csv(place / "values.csv", index=False, na_rep="NA")
    (place / "fit.R").write_text(lavaan_script(fit), encoding="utf-8")
    return place


def write_mplus(fit: Any, folder: str | Path) -> Path:
    """Write ``fit.inp``, ``data.dat``, ``names.csv`` (our names, theirs) and ``values.csv`` into ``folder``."""
    refuse_two_level(fit.problem, "Mplus inputs are")
    place = _folder(folder)
    names = mplus_names(_columns(fit))
    data = _data(fit)
    if fit.settings["group"]:
        codes = {label: k + 1 for k, label in enumerate(fit.prepared.groups)}
        data[fit.settings["group"]] = data[fit.settings["group"]].astype(str).map(codes)
    data.to_csv(place / "data.dat", index=False, header=False, sep=" ", na_rep=str(MISSING_CODE))
    pd.DataFrame({"name": list(names), "mplus": list(names.values())}).to_csv(place / "names.csv", index=False)
    _values(fit).to_csv(place / "values.csv", index=False, na_rep="NA")
    (place / "fit.inp").write_text(mplus_input(fit, names), encoding="utf-8")
    return place


def _folder(folder: str | Path) -> Path:
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    return place


def _data(fit: Any) -> pd.DataFrame:
    if fit.prepared.frame is None:
        raise ModelError("The fit comes from moments; there are no rows to hand on.", code="NeedsRows")
    frame = fit.prepared.source
    return frame.loc[[i for rows in fit.prepared.rows for i in rows]]


def _columns(fit: Any) -> list[str]:
    latent = [n for block in fit.problem.structure.blocks for n in block.latent]
    return list(dict.fromkeys([*_data(fit).columns, *latent]))


def _values(fit: Any) -> pd.DataFrame:
    kept = ["lhs", "op", "rhs", "group", "label", "est", "se"]
    measures = fit.glance().iloc[0]
    names = list(MEASURES)
    fitted = pd.DataFrame({"lhs": names, "op": "fit", "est": [measures[n] for n in names]})
    table = fit.tidy()
    table = table[[*kept, *(c for c in table.columns if c == "level")]]
    return pd.concat([table, fitted], ignore_index=True)


# lavaan -------------------------------------------------------------------------------------------


def lavaan_script(fit: Any) -> str:
    """An R script that fits the same model with lavaan and compares."""
    options = ",\n  ".join(f"{name} = {value}" for name, value in lavaan_arguments(fit).items())
    unclustered = fit.settings["ordered"] and fit.settings["cluster"]
    told = UNCLUSTERED if unclustered else ""
    syntax = fit.syntax().replace("\\", "\\\\").replace("'", "\\'")
    return f"""# The same fit in lavaan (0.6-14 or later), and the largest difference from our values.
{told}\
suppressMessages(library(lavaan))
data <- read.csv("data.csv", check.names = FALSE)
model <- '
{syntax}
'
fit <- lavaan(model, data,
  {options})
summary(fit, fit.measures = TRUE)
ours <- read.csv("values.csv", check.names = FALSE)
theirs <- parameterEstimates(fit, remove.nonfree = FALSE)
if (is.null(theirs$group)) theirs$group <- 1
if (is.null(theirs$level)) theirs$level <- 1
if (is.null(ours$level)) ours$level <- 1
label <- lavInspect(fit, "group.label")
if (length(label) == 0) label <- ""
key <- function(d, g) paste(ifelse(d$op == "~~" & d$lhs > d$rhs, paste(d$rhs, d$lhs), paste(d$lhs, d$rhs)), d$op, g)
g <- ifelse(theirs$group > 0, label[pmax(theirs$group, 1)], "")
ours$group[is.na(ours$group)] <- ""
measures <- c({_pairs(MEASURES)})
theirs.fit <- fitMeasures(fit)
known <- ours[ours$op == "fit" & !is.na(ours$est) & measures[ours$lhs] %in% names(theirs.fit), ]
value <- as.numeric(theirs.fit[measures[known$lhs]])
gap <- abs(known$est - value) / pmax(1, abs(value))
mine <- ours[ours$op != "fit" & ours$op != ":=", ]
mine$rhs[is.na(mine$rhs)] <- ""
both <- match(key(mine, paste(mine$group, mine$level)), key(theirs, paste(g, theirs$level)))
cat("rows compared:", sum(!is.na(both)), "of", nrow(mine), "\\n")
cat("largest difference of an estimate:", max(abs(mine$est - theirs$est[both]), na.rm = TRUE), "\\n")
cat("largest difference of a standard error:", max(abs(mine$se - theirs$se[both]), na.rm = TRUE), "\\n")
cat("largest difference of a fit measure:", max(gap, na.rm = TRUE), "(", known$lhs[which.max(gap)], ")\\n")
"""


def _pairs(names: Mapping[str, str]) -> str:
    return ", ".join(f"{ours} = {_quoted(theirs)}" for ours, theirs in names.items())


def lavaan_arguments(fit: Any) -> dict[str, str]:
    """lavaan's arguments for the fit's settings, as R writes them."""
    s, kind = fit.settings, ESTIMATORS[fit.settings["estimator"]]
    out = {"estimator": _quoted(s["estimator"].upper()), "meanstructure": _truth(s["meanstructure"])}
    out["missing"] = _quoted({"fiml": "ml"}.get(s["missing"], s["missing"]))
    if not s["ordered"] or not s["conditional_x"]:
        out["fixed.x"] = _truth(s["fixed_x"])
    if s["ordered"]:
        out |= {"ordered": _vector(s["ordered"]), "parameterization": _quoted(s["parameterization"])}
    if s["group"]:
        out |= {"group": _quoted(s["group"]), "group.label": _vector(fit.prepared.groups)}
    if s["cluster"]:
        out["cluster"] = _quoted(s["cluster"])
    if s["weights"]:
        out["sampling.weights"] = _quoted(s["weights"])
    if not s["cluster"] and not s["weights"]:
        if s["se"] != kind.se:
            out["se"] = _quoted(s["se"])
        if s["information"] != "first.order":
            out["information"] = _quoted(s["information"])
    return out


def _quoted(text: str) -> str:
    return '"' + str(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _vector(items: Sequence[str]) -> str:
    return "c(" + ", ".join(_quoted(item) for item in items) + ")"


def _truth(value: bool) -> str:
    return "TRUE" if value else "FALSE"


# Mplus --------------------------------------------------------------------------------------------


def mplus_names(names: Sequence[str]) -> dict[str, str]:
    """Names of at most eight letters, digits and underscores, all different whatever their case."""
    out: dict[str, str] = {}
    taken: set[str] = set()
    for k, name in enumerate(names, start=1):
        short = re.sub(r"[^A-Za-z0-9_]", "_", name)
        if len(short) > MPLUS_NAME or not short[:1].isalpha() or short.lower() in taken:
            short = f"v{k}"
        taken.add(short.lower())
        out[name] = short
    return out


def mplus_input(fit: Any, names: Mapping[str, str]) -> str:
    """An Mplus input file that states every parameter."""
    s, table = fit.settings, fit.problem.table
    observed = list(dict.fromkeys(n for block in fit.problem.structure.blocks for n in block.observed))
    observed += [n for n in fit.problem.structure.blocks[0].exogenous if n not in observed]
    variable = [f"NAMES ARE {_wrapped([names[c] for c in _data(fit).columns])};"]
    variable.append(f"USEVARIABLES ARE {_wrapped([names[n] for n in observed])};")
    variable.append(f"MISSING ARE ALL ({MISSING_CODE});")
    if s["ordered"]:
        variable.append(f"CATEGORICAL ARE {_wrapped([names[n] for n in s['ordered']])};")
    if s["group"]:
        groups = " ".join(f"{k + 1}=g{k + 1}" for k in range(len(fit.prepared.groups)))
        variable.append(f"GROUPING IS {names[s['group']]} ({groups});")
    if s["cluster"]:
        variable.append(f"CLUSTER IS {names[s['cluster']]};")
    if s["weights"]:
        variable.append(f"WEIGHT IS {names[s['weights']]};")
    analysis = [f"ESTIMATOR = {s['estimator'].upper()};"]
    if s["ordered"]:
        analysis.append(f"PARAMETERIZATION = {s['parameterization'].upper()};")
    elif s["information"] in ("expected", "observed"):
        analysis.append(f"INFORMATION = {s['information'].upper()};")
    if s["cluster"]:
        analysis.insert(0, "TYPE = COMPLEX;")
    if not s["meanstructure"]:
        analysis.append("MODEL = NOMEANSTRUCTURE;")
    listwise = "  LISTWISE = ON;" if s["missing"] == "listwise" else ""
    parts = [
        "TITLE: the same fit in Mplus; every parameter is stated;",
        f"DATA: FILE IS data.dat;{listwise}",
        "VARIABLE:\n  " + "\n  ".join(variable),
        "ANALYSIS:\n  " + "\n  ".join(analysis),
        *_mplus_models(table, names),
        *_mplus_constraints(table),
        "OUTPUT: STANDARDIZED;",
    ]
    return "\n".join(parts) + "\n"


def _mplus_models(table: Any, names: Mapping[str, str]) -> list[str]:
    out = []
    for group in range(1, table.options.n_groups + 1):
        lines = [_statement(row, names, table) for row in table.rows if row.group == group and not row.exogenous]
        title = "MODEL:" if group == 1 else f"MODEL g{group}:"
        out.append(title + "\n  " + "\n  ".join(line for line in lines if line))
    return out


def _statement(row: Parameter, names: Mapping[str, str], table: Any) -> str:
    computed = table.options.parameterization == "delta" and row.lhs in table.options.levels
    if row.op == "~~" and row.lhs == row.rhs and computed:
        return ""  # Mplus has no residual variance there under delta
    if row.op == "~*~" and table.options.parameterization == "theta":
        return ""
    if row.op == "~1" and row.lhs in table.options.levels and row.free < 0:
        return ""
    value = f"@{row.value:.10g}" if row.free < 0 else "*"
    if row.free >= 0 and not np.isnan(row.start):
        value += f"{row.start:.10g}"
    tied = sum(r.free == row.free for r in table.rows) > 1
    label = f" ({_label(row)})" if row.free >= 0 and (row.label or tied) else ""
    left, right = names[row.lhs], names.get(row.rhs, "")
    if row.op in VERBS and row.lhs != row.rhs:
        return f"{left} {VERBS[row.op]} {right}{value}{label};"
    shape = {"~~": f"{left}{value}", "~1": f"[{left}{value}]", "~*~": f"{{{left}{value}}}"}
    return f"{shape.get(row.op, f'[{left}${row.rhs[1:]}{value}]')}{label};"


def _label(row: Parameter) -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", row.label)[:MPLUS_NAME] if row.label else f"q{row.free + 1}"


def _mplus_constraints(table: Any) -> list[str]:
    if not table.constraints:
        return []
    new = [c.lhs for c in table.definitions]
    lines = [f"NEW({' '.join(new)});"] if new else []
    for c in table.constraints:
        sign = {":=": "=", "==": "="}.get(c.op, c.op)
        lines.append(f"{c.lhs} {sign} {c.rhs.replace('^', '**')};")
    return ["MODEL CONSTRAINT:\n  " + "\n  ".join(lines)]


def _wrapped(words: Sequence[str], width: int = 70) -> str:
    lines, line = [], ""
    for word in words:
        if len(line) + len(word) + 1 > width:
            lines.append(line)
            line = ""
        line += (" " if line else "") + word
    return "\n    ".join([*lines, line])
