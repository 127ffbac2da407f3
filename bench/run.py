"""Speed beside the peers: `make bench` times seven tasks here and in R on the same data and prints one table.

    python bench/run.py              all tasks, R's side too, the scaling curve; writes docs/performance.md
    python bench/run.py a f          some tasks, nothing written
    python bench/run.py --memory b   peak memory of one task alone

Every result is held against lavaan's or psych's values (expected.json) before it is timed; nothing is
cached between repetitions; start-up of the interpreter is left out; BLAS runs on one thread. Times are
CPU seconds, which on one thread are the seconds of an idle machine, whatever else runs on it.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import numpy as np  # noqa: E402 - the number of threads must be set before
import pandas as pd  # noqa: E402

import cocoanalysis as coco  # noqa: E402
from cocoanalysis.measurement.moments import ordinal_moments  # noqa: E402

EXPECTED = json.loads((HERE / "expected.json").read_text(encoding="utf-8"))
PAGE = HERE.parent / "docs" / "performance.md"


def data(name: str) -> pd.DataFrame:
    return pd.read_csv(HERE / "data" / f"{name}.csv")


HS, BFI, S40 = data("lavaan_HolzingerSwineford1939"), data("bfi25_complete"), data("sim40_ord5_n2000")
G4, GAPS = data("sim25_4g_n2000"), data("sim25_miss10_n2000")


def factors(prefix: str, groups: dict[str, Sequence[str]]) -> str:
    return "\n".join(f"{prefix}{name} =~ {' + '.join(items)}" for name, items in groups.items())


THREE = factors("", {"visual": ["x1", "x2", "x3"], "textual": ["x4", "x5", "x6"], "speed": ["x7", "x8", "x9"]})
BIG5 = factors("", {f: [f"{f}{k}" for k in range(1, 6)] for f in "ACENO"})
FIVE = factors("F", {str(k + 1): [f"y{5 * k + i}" for i in range(1, 6)] for k in range(5)})


def near(got: Any, want: Any, tolerance: float, what: str) -> None:
    worst = float(np.max(np.abs(np.asarray(got, dtype=float) - np.asarray(want, dtype=float))))
    if not worst <= tolerance:
        raise SystemExit(f"{what} is off by {worst:.3g} (at most {tolerance:.3g} is allowed); nothing was timed.")


# The tasks ------------------------------------------------------------------------------------------


def fit_and_standardise() -> tuple[Any, pd.DataFrame, pd.DataFrame]:
    fit = coco.cfa(HS, THREE)
    return fit, fit.glance(), fit.standardized()


def check_fit(result: tuple[Any, pd.DataFrame, pd.DataFrame]) -> None:
    row, standard, want = result[1].iloc[0], result[2], EXPECTED["a"]
    near([row.chi2, row.cfi, row.rmsea, row.srmr, row.loglik],
         [want[k] for k in ("chisq", "cfi", "rmsea", "srmr", "logl")], 1e-4, "a: fit")  # fmt: skip
    near(standard.est[:9], want["std"], 1e-5, "a: standardised loadings")
    near(standard.se[:9], want["se"], 1e-5, "a: their errors")


def wlsmv() -> Any:
    fit = coco.cfa(BFI, BIG5, ordered=True)
    return fit, fit.glance()


def check_wlsmv(result: Any) -> None:
    row, want = result[1].iloc[0], EXPECTED["b"]
    near([row.chi2, row.chi2_scaled], [want["chisq"], want["chisq.scaled"]], 1e-3, "b: χ²")
    near(row.cfi_scaled, want["cfi.scaled"], 1e-5, "b: CFI")


def check_polychoric(result: Any) -> None:
    near(result.correlations.to_numpy()[np.triu_indices(40, 1)], EXPECTED["c"]["rho"], 2e-5, "c: correlations")


def bootstrapped() -> Any:
    return coco.cfa(HS, THREE, bootstrap=1000, seed=1)


def check_bootstrap(result: Any) -> None:
    wanted = np.array(EXPECTED["d"]["se"])
    got = np.sqrt(np.diag(np.cov(result.replicates.estimates.T)))
    near(np.median(got / wanted), 1.0, 0.05, "d: median ratio of bootstrap errors")
    near(result.replicates.failed, 0, 10, "d: failed replicates")


def parallel() -> Any:
    return coco.parallel_analysis(S40)


def check_parallel(result: Any) -> None:
    want, table = EXPECTED["e"], result.tidy()
    near([result.n_components, result.n_factors], [want["ncomp"], want["nfact"]], 0, "e: number of factors")
    observed = [c for c in table.columns if table[c].dtype.kind == "f"]
    for kind in ("components", "factors"):
        off = [np.abs(table[c].to_numpy()[:8] - want[kind]).max() for c in observed]
        near(min(off), 0.0, 2e-3, f"e: eigenvalues of {kind}")


def ladder() -> Any:
    return coco.invariance(G4, FIVE, group="grp")


def check_ladder(result: Any) -> None:
    table, want = result.tidy(), EXPECTED["f"]
    near(table.chi2, want["chisq"], 1e-3, "f: χ²")
    near(table.delta_chi2[1:], want["diff"], 1e-3, "f: χ² differences")


def fiml() -> Any:
    return coco.cfa(GAPS, FIVE, missing="fiml")


def check_fiml(result: Any) -> None:
    row, want = result.glance().iloc[0], EXPECTED["g"]
    near([row.chi2, row.loglik], [want["chisq"], want["logl"]], 1e-3, "g: χ² and log-likelihood")


class Task(NamedTuple):
    what: str
    work: Callable[[], Any]
    check: Callable[[Any], None]
    times: float  # how many times faster than the peer it has to be
    repetitions: int


TASKS = {
    "a": Task("CFA ML, all fit measures, standardised solution", fit_and_standardise, check_fit, 20, 15),
    "b": Task("WLSMV, 25 items × 6 categories, n = 2,436", wlsmv, check_wlsmv, 20, 7),
    "c": Task("polychoric matrix, 40 items × 5, n = 2,000", lambda: coco.polychoric(S40), check_polychoric, 20, 15),
    "d": Task("1,000 bootstrap refits of a", bootstrapped, check_bootstrap, 25, 5),
    "e": Task("parallel analysis, 40 items, 100 replicates", parallel, check_parallel, 20, 7),
    "f": Task("configural, metric, scalar; 4 groups, 25 items", ladder, check_ladder, 25, 9),
    "g": Task("FIML, 25 items, n = 2,000, 1,148 patterns", fiml, check_fiml, 50, 5),
}


def timed(work: Callable[[], Any], repetitions: int) -> float:
    seconds = []
    for _ in range(repetitions):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return float(np.median(seconds))


def ours(names: Sequence[str]) -> dict[str, float]:
    found = {}
    for name in names:
        task = TASKS[name]
        task.check(task.work())
        found[name] = timed(task.work, task.repetitions)
        print(f"  {name}  {task.what}: {found[name]:.4f} s", file=sys.stderr)
    return found


def peers(names: Sequence[str]) -> dict[str, tuple[str, float]]:
    """Median CPU seconds of R's programs, or nothing when R is not installed."""
    if shutil.which("Rscript") is None:
        return {}
    call = ["Rscript", str(HERE / "peers.R"), "time", str(HERE / "data"), *names]
    told = subprocess.run(call, capture_output=True, text=True, check=False)
    rows = [line.split(",") for line in told.stdout.splitlines() if line.count(",") == 3]
    return {task: (label, float(cpu)) for task, label, _, cpu in rows}


def memory(name: str) -> float:
    """Peak memory in MB of a fresh interpreter that does one task."""
    call = [sys.executable, __file__, "--memory", name]
    return float(subprocess.run(call, capture_output=True, text=True, check=True).stdout)


# The scaling curve ----------------------------------------------------------------------------------


def simulated(items: int, n: int, seed: int = 1) -> pd.DataFrame:
    """Two correlated factors behind ordinal items of five categories."""
    rng = np.random.default_rng(seed)
    factor = rng.multivariate_normal([0, 0], [[1, 0.4], [0.4, 1]], size=n)[:, np.arange(items) % 2]
    latent = 0.7 * factor + np.sqrt(0.51) * rng.normal(size=(n, items))
    cuts = np.array([-1.3, -0.4, 0.4, 1.3])
    return pd.DataFrame(1.0 + (latent[:, :, None] > cuts).sum(axis=2), columns=[f"y{k}" for k in range(items)])


def curve(label: str, sizes: Sequence[int], make: Callable[[int], pd.DataFrame]) -> list[dict[str, Any]]:
    rows = []
    for size in sizes:
        frame = make(size)
        model = factors("", {"f": frame.columns[0::2], "g": frame.columns[1::2]})
        rows.append(
            {
                label: size,
                "polychoric": timed(lambda d=frame: coco.polychoric(d), 3),
                "with full covariance": timed(lambda d=frame: ordinal_moments(d, list(d)), 2),
                "CFA ML": timed(lambda d=frame, m=model: coco.cfa(d, m), 3),
            }
        )
    return rows


def growth(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Exponents of time in size between the middle and the largest."""
    table = pd.DataFrame(rows)
    size = np.log(table.iloc[[-3, -1], 0].to_numpy(dtype=float))
    return {c: float(np.diff(np.log(table[c].iloc[[-3, -1]]))[0] / np.diff(size)[0]) for c in table.columns[1:]}


# The page -------------------------------------------------------------------------------------------


def _r_version() -> str:
    if shutil.which("Rscript") is None:
        return ""
    asked = 'cat(R.version$major, R.version$minor, sep = ".")'
    return subprocess.run(["Rscript", "-e", asked], capture_output=True, text=True, check=False).stdout


def machine() -> str:
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        models = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        cpu = models[0] if models else cpu
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "pandas"))
    r = _r_version()
    beside = f"; R {r} with lavaan and psych" if r else ""
    return f"{cpu}, {os.cpu_count()} cores, one thread used; Python {platform.python_version()}, {libraries}{beside}."


def table(mine: dict[str, float], theirs: dict[str, tuple[str, float]]) -> list[str]:
    lines = ["| task | peer | peer, s | ours, s | times faster | wanted |", "|---|---|--:|--:|--:|--:|"]
    for name, seconds in mine.items():
        label, peer = theirs.get(name, ("–", float("nan")))
        ratio = f"{peer / seconds:.0f}" if peer == peer else "–"
        told = f"{peer:.3f}" if peer == peer else "–"
        lines.append(
            f"| {name} {TASKS[name].what} | {label} | {told} | {seconds:.4f} | {ratio} | {TASKS[name].times:.0f} |"
        )
    return lines


def markdown(rows: list[dict[str, Any]]) -> list[str]:
    first = list(rows[0])
    lines = ["| " + " | ".join(first) + " |", "|" + "--:|" * len(first)]
    lines += ["| " + " | ".join(f"{v:,}" if k == first[0] else f"{v:.4f}" for k, v in r.items()) + " |" for r in rows]
    told = ", ".join(f"{k} {v:.2f}" for k, v in growth(rows).items())
    return [*lines, "", f"Growth (exponent of the size over the last three): {told}."]


def page(mine: dict[str, float], theirs: dict[str, tuple[str, float]], peak: dict[str, float]) -> str:
    by_items = curve("items", [10, 20, 40, 80], lambda k: simulated(k, 2000))
    by_rows = curve("n", [500, 2000, 10000, 50000], lambda n: simulated(20, n))
    lines = [
        "# Speed", "",
        "Written by `make bench`, which runs both sides on the machine at hand; ratios count, not seconds.", "",
        machine(), "",
        "Median CPU seconds on one thread. Every result of ours is held against the peer's values before it is timed: "
        "fit measures to 1e-4, polychoric correlations to 2e-5.", "", *table(mine, theirs), "",
        "Peak memory of a fresh interpreter: " + ", ".join(f"{k} {v:.0f} MB" for k, v in peak.items()) + ".", "",
        "## Growth", "", "20 or more ordinal items of five categories on two factors, simulated; seconds.", "",
        "By the number of items, n = 2,000:", "", *markdown(by_items), "",
        "By the number of respondents, 20 items:", "", *markdown(by_rows), "",
    ]  # fmt: skip
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> None:
    if arguments[:1] == ["--memory"]:
        TASKS[arguments[1]].work()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    names = list(arguments) or list(TASKS)
    mine = ours(names)
    theirs = peers(names)
    if arguments:
        print("\n".join(table(mine, theirs)))
        return
    text = page(mine, theirs, {name: memory(name) for name in ("b", "g")})
    PAGE.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main(sys.argv[1:])
