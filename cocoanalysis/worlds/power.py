"""What a plan's rule can reach: the probability of each verdict, and how often it is wrong.

`power` draws many studies from a world, judges each by the plan, and counts. Every study has its
own seed by its number, so the counts are the same for any number of workers, and a run that was
stopped goes on where it was.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats
from tqdm import tqdm

from cocoanalysis.arguments import is_number, shown, switch, whole
from cocoanalysis.errors import CocoError, ModelError, listed, one_of
from cocoanalysis.propositions.plan import Plan, read_plan
from cocoanalysis.propositions.verdicts import VERDICTS, judge, stand_in_ids, stand_ins
from cocoanalysis.result import Result
from cocoanalysis.threads import in_one_thread
from cocoanalysis.worlds.world import WORLD_FILE, WORLDS, World, named, read_world

CHUNK = 5  # studies that a worker judges before it reports
FAILED = "!"
LETTERS = dict(zip(VERDICTS, "sncix"))  # one letter a verdict, for files
ABSENT = "-"  # a row that this study does not have: a composite stands in only where a gate is closed
BESIDE = "beside"  # the family of rows that stand beside the plan's own
SEED = 1  # of the counts that come with a survey
STUDIES = {"world": 300, "null": 1000, "sizes": 100, "others": 300}
SIZES = [(20, 10), (30, 15), (60, 15), (120, 15)]
BACKENDS = ("joblib", "dask")
DECIDED = ("supported", "negligible", "contradicted")

WORDS = {"title", "version", "sentence", "label", "note", "reason", "multiverse", "survey"}

Size = tuple[int, float]  # collaborations, raters on average


class Task(NamedTuple):
    """What every worker needs: plan, world, sizes, seed, and which rows are counted."""

    plan: Plan
    world: World
    sizes: tuple[Size, ...]
    seed: int
    keys: tuple[str, ...]
    stand_ins: frozenset[str]


class Job(NamedTuple):
    """Some studies of one size, by number."""

    size: int
    studies: tuple[int, ...]


@dataclass(frozen=True, repr=False)
class Power(Result):
    """Verdicts of many studies drawn from one world, by size of the study.

    Attributes
    ----------
    rows : DataFrame, one row a hypothesis and outcome, with the verdict that is right in this world
    sizes : collaborations and raters (on average) of each size
    verdicts : for each size an array of letters, studies × rows; a capital where 'negligible' was within reach, '-'
        where the study has no such row (the composite that stands in for hypotheses behind a closed gate)
    """

    rows: pd.DataFrame
    sizes: tuple[Size, ...]
    verdicts: tuple[np.ndarray, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    provenance: str = "synthetic"
    title: str = "Power"

    def tidy(self) -> pd.DataFrame:
        """One row a size, row of the plan's families and verdict: its share of the studies and the Monte Carlo ``se``.

        Columns: size, clusters, raters, row, hypothesis, outcome, predictor, truth, verdict, share, se.
        """
        wide = self.table()
        wide = wide[wide["family"] != BESIDE]
        keys = ["size", "clusters", "raters", "row", "hypothesis", "outcome", "predictor", "truth"]
        names = [verdict.replace(" ", "_") for verdict in VERDICTS]
        long = wide.melt(keys, names, "verdict", "share", ignore_index=False).sort_index(kind="stable")
        counts = dict(zip((f"{clusters} × {raters:g}" for clusters, raters in self.sizes), map(len, self.verdicts)))
        studies = long["size"].map(counts)
        long["verdict"] = long["verdict"].str.replace("_", " ")
        return long.assign(se=np.sqrt(long["share"] * (1 - long["share"]) / studies)).reset_index(drop=True)

    def table(self) -> pd.DataFrame:
        """One row a size and row of the plan: the share of studies with each verdict, and of right and wrong ones.

        ``judged`` is the share of studies that have the row: 1, but for a composite that stands in where a gate is
        closed; a row that no study has is left out. ``reach`` is the share of studies precise enough that a true 0
        would more likely than not be called negligible. Rows named '… between' are slopes of the collaboration level,
        which stand beside.
        ``right`` is the share with the verdict that the world's file says is true, ``wrong`` the
        share with another decided one (*inconclusive* is never wrong); ``se`` is the Monte Carlo
        standard error of ``right``.
        """
        return pd.concat([self._shares(k) for k in range(len(self.sizes))], ignore_index=True)

    def glance(self) -> pd.DataFrame:
        """One row a size, on the plan's first family: share of right verdicts, share of studies with any wrong one."""
        return pd.DataFrame([self._summary(k) for k in range(len(self.sizes))])

    @property
    def family(self) -> str:
        """The family whose error rate the plan controls: its first."""
        return str(self.rows["family"].iloc[0])

    def sentence(self) -> str:
        """A sentence a size: how often the rule is right, and how often a study holds a wrong verdict."""
        lines = []
        for row in self.glance().to_dict("records"):
            margin = 1.96 * row["any_wrong_se"]
            lines.append(
                f"{row['clusters']} × {row['raters']:g}, {row['studies']} studies, family '{self.family}': "
                f"{row['right']:.1%} of the verdicts are right; "
                f"{row['any_wrong']:.1%} (± {margin:.1%}) of the studies hold a wrong one."
            )
        return "\n".join(lines)

    def notes(self) -> list[str]:
        plan, gates = (
            str(self.settings["plan_hash"])[:12],
            "run in every study" if self.settings["gates"] else "left out",
        )
        return [
            *super().notes(),
            f"World '{self.settings['world']}', plan {plan}; the gates on the measurement are {gates}. A verdict is "
            "wrong when it is decided and not the one planted; inconclusive and not testable are never wrong.",
            *self._failed(),
            *self._out_of_reach(),
        ]

    def enough(self, hypothesis: str, *, verdict: str = "supported", probability: float = 0.8) -> pd.DataFrame:
        """The sizes at which every row of a hypothesis ends in a verdict with at least this probability."""
        column = one_of(verdict, VERDICTS, "verdict").replace(" ", "_")
        table = self.table()
        table = table[table["hypothesis"] == hypothesis]
        if table.empty:
            raise ModelError(
                f"No row of this power analysis is '{hypothesis}'; it has {listed(self.rows['hypothesis'].unique())}.",
                code="UnknownHypothesis",
            )
        least = table.groupby(["clusters", "raters"], sort=False)[column].min().reset_index()
        return least[least[column] >= probability].reset_index(drop=True)

    def _shown(self) -> pd.DataFrame:
        hidden = ["clusters", "raters", "expected", "level", "family", "label", "outcome", "predictor", "hypothesis"]
        return self.table().drop(columns=hidden)

    def write(self, path: str | Path) -> Path:
        """Write every verdict, with the hash of plan, world and content, to a JSON file."""
        return _write(Path(path), self.settings, self.rows, [["".join(row) for row in one] for one in self.verdicts])

    def _shares(self, k: int) -> pd.DataFrame:
        letters, (clusters, raters) = np.char.lower(self.verdicts[k]), self.sizes[k]
        table = self.rows.copy()
        for name, value in (("raters", raters), ("clusters", clusters), ("size", f"{clusters} × {raters:g}")):
            table.insert(0, name, value)
        for verdict, letter in LETTERS.items():
            table[verdict.replace(" ", "_")] = (letters == letter).mean(axis=0)
        table["judged"] = (letters != ABSENT).mean(axis=0)
        table["reach"] = np.char.isupper(self.verdicts[k]).mean(axis=0)
        right, wrong = _right_and_wrong(letters, self.rows["truth"])
        table["right"], table["wrong"] = right.mean(axis=0), wrong.mean(axis=0)
        unknown = self.rows["truth"].isna().to_numpy()
        table.loc[unknown, ["right", "wrong"]] = np.nan
        table = table.assign(se=np.sqrt(table["right"] * (1 - table["right"]) / len(letters)))
        return table[table["judged"] > 0].reset_index(drop=True)

    def _summary(self, k: int) -> dict[str, Any]:
        letters, (clusters, raters) = np.char.lower(self.verdicts[k]), self.sizes[k]
        right, wrong = _right_and_wrong(letters, self.rows["truth"])
        counted = ((self.rows["family"] == self.family) & self.rows["truth"].notna()).to_numpy()
        any_wrong = wrong[:, counted].any(axis=1).mean() if len(letters) and counted.any() else np.nan
        return {
            "clusters": clusters,
            "raters": raters,
            "studies": len(letters),
            "failed": int((letters == FAILED).any(axis=1).sum()),
            "right": right[:, counted].sum() / (letters[:, counted] != ABSENT).sum() if counted.any() else np.nan,
            "any_wrong": any_wrong,
            "any_wrong_se": np.sqrt(any_wrong * (1 - any_wrong) / max(len(letters), 1)),
        }

    def _failed(self) -> list[str]:
        failed = sum(int((letters == FAILED).any(axis=1).sum()) for letters in self.verdicts)
        return [f"{failed} studies could not be judged; they count as having no verdict."] if failed else []

    def _out_of_reach(self) -> list[str]:
        """Sentences on rows for which hardly any study of a size is precise enough to say 'negligible'."""
        table = self.table()
        poor = table[table["reach"] < 0.2]
        lines = []
        for clusters, raters in self.sizes:
            here = poor[(poor["clusters"] == clusters) & (poor["raters"] == raters)]
            own = here[here["family"] != BESIDE]["row"].tolist()
            between = [f"{(here['family'] == BESIDE).sum()} slopes of the collaboration level"]
            names = listed([*own, *between] if len(own) < len(here) else own, 30)
            if len(here):
                lines.append(f"With {clusters} × {raters:g} the verdict 'negligible' is out of reach for {names}.")
        return lines


def power(
    plan: Plan | str | Path,
    world: World | str | Path,
    sizes: Sequence[Any] | None = None,
    replicates: int = 100,
    seed: int = 0,
    backend: str | None = None,
    *,
    gates: bool = True,
    workers: int = 1,
    scheduler: str | None = None,
    resume: str | Path | None = None,
    progress: bool | None = None,
) -> Power:
    """The probability of each verdict for each hypothesis, before anybody is asked.

    Parameters
    ----------
    plan, world : objects, or the paths of their files
    sizes : list of (collaborations, raters) or of numbers of rows; by default the world's own design
    replicates : studies for each size
    seed : the same seed gives the same counts, whatever the number of workers
    backend : 'joblib' (this machine) or 'dask' (a cluster); by default joblib
    gates : whether the gates on the measurement that guard a tested hypothesis are run in every study, as `judge` does;
        without them a study takes a third of the time, and the counts are those of the regressions alone
    workers : processes of joblib
    scheduler : address of Dask's scheduler; by default a cluster of ``workers`` on this machine
    resume : a file that keeps what is finished; a run that was stopped goes on from it
    progress : show a progress bar; by default when a person watches

    Returns
    -------
    Power

    Raises
    ------
    ModelError : BadArgument, BadSeed, UnknownChoice (backend), OtherRun (the file of ``resume`` belongs to another
        run), NoDask
    """
    plan = plan if isinstance(plan, Plan) else read_plan(plan)
    world = world if isinstance(world, World) else read_world(world)
    backend = one_of(backend or "joblib", BACKENDS, "backend")
    replicates, workers = whole(replicates, "replicates", 1), whole(workers, "workers", 1)
    seed, gates = whole(seed, "seed", code="BadSeed"), bool(switch(gates, "gates"))
    cells = [_size(size, world) for size in sizes] if sizes is not None else [_design(world)]
    light = _tested(plan, gates)
    settings = _settings(plan, world, cells, seed, gates)
    rows = _rows(light, world, max(cells))
    done = _resumed(resume, settings, rows, len(cells), replicates)
    jobs = list(_jobs(done, replicates))
    shown = progress if progress is not None else sys.stderr.isatty() and "CI" not in os.environ
    with tqdm(total=len(cells) * replicates, initial=_count(done), disable=not shown, unit="study") as bar:
        extra = frozenset(_keys(rows[rows["hypothesis"].isin(stand_in_ids(light))]))
        task = Task(light, world, tuple(cells), seed, _keys(rows), extra)
        for job, letters in _run(backend, task, jobs, workers, scheduler):
            for number, word in zip(job.studies, letters):
                done[job.size][number] = word
            bar.update(len(job.studies))
            if resume is not None:
                _write(Path(resume), settings, rows, done)
    return Power(rows, tuple(cells), tuple(_letters(one[:replicates], len(rows)) for one in done), settings)


def read_power(path: str | Path, plan: Plan | None = None, world: World | None = None) -> Power:
    """Read a power analysis from its file, and refuse it when plan or world have changed since.

    Raises
    ------
    ModelError : NoSuchFile, Damaged, OtherRun
    """
    content = _read(Path(path))
    settings = content["settings"]
    now = plan and plan_hash(plan, settings.get("gates", False))
    for what, hash in (("plan", now), ("world", world and world_hash(world))):
        if hash and hash != settings[f"{what}_hash"]:
            raise ModelError(
                f"'{Path(path).name}' was made with another {what} ({settings[f'{what}_hash'][:12]}, now {hash[:12]}); "
                "run the power analysis again.",
                code="OtherRun",
            )
    rows = pd.DataFrame(content["rows"])
    rows["truth"] = rows["truth"].astype(object).where(rows["truth"].notna(), None)
    sizes = tuple((int(clusters), float(raters)) for clusters, raters in settings["sizes"])
    return Power(rows, sizes, tuple(_letters(one, len(rows)) for one in content["studies"]), settings)


def remake(folder: str | Path, output: str | Path | None = None, *, workers: int = 1) -> Iterator[tuple[str, Power]]:
    """Count anew for every world of a survey, and for several sizes of a study; one file each.

    Parameters
    ----------
    folder : the survey's folder, with plan.yaml, world.yaml and worlds/
    output : where the files go; by default the folder's power/
    workers : processes of joblib

    A file whose plan and world are the present ones is gone on with, another is replaced.
    """
    folder = Path(folder)
    plan, output = read_plan(folder), Path(output or folder / "power")
    paths = {path.stem: path for path in sorted((folder / WORLDS).glob("*.yaml"))}
    for name, path in {"world": folder / WORLD_FILE, "sizes": folder / WORLD_FILE, **paths}.items():
        world, kept = read_world(path), output / f"{name}.json"
        if not _fits(kept, plan, world):
            kept.unlink(missing_ok=True)
        sizes, replicates = SIZES if name == "sizes" else None, STUDIES.get(name, STUDIES["others"])
        yield name, power(plan, world, sizes, replicates, SEED, workers=workers, resume=kept)


def _fits(path: Path, plan: Plan, world: World) -> bool:
    try:
        return read_power(path, plan, world).settings["seed"] == SEED
    except ModelError:
        return False


def plan_hash(plan: Plan, gates: bool = True) -> str:
    """SHA-256 of what tested verdicts rest on: all but words, the multiverse, what is explored, and idle gates."""
    content = _judged(json.loads(_tested(plan, gates).canonical))
    content.pop("latent" if not content["gates"] else "", None)
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _judged(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _judged(inner) for key, inner in value.items() if key not in WORDS}
    return [_judged(inner) for inner in value] if isinstance(value, list) else value


def world_hash(world: World) -> str:
    """SHA-256 of a world and of the items and scales it answers, as canonical JSON."""
    items = {id: [item.construct, item.key, list(item.scale.codes)] for id, item in world.survey.items.items()}
    content = [world.file.model_dump(mode="json", by_alias=True, exclude={"title", "base", "clear"}), items]
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


# One study ---------------------------------------------------------------------------------------


def study(plan: Plan, world: World, size: Size, seed: Sequence[int]) -> pd.DataFrame:
    """Draw one study and judge its rows by the plan, those of the collaboration level that stand beside too.

    ``reach`` says whether, with the precision of this study, a true effect of 0 would more likely than
    not be called negligible (one equivalence test, before families are corrected).
    """
    numbers = np.random.SeedSequence(seed[0], spawn_key=tuple(seed[1:]))
    clusters, raters = size
    draw = world.draw(round(clusters * raters), numbers, clusters)
    table = judge(plan, named(world, draw), seed=int(numbers.generate_state(1)[0]), gates=bool(plan.form.gates)).tidy()
    table = table[table["label"] != "gate"].reset_index(drop=True)
    df = table["df"].astype(float).fillna(np.inf)
    room = table["sesoi"].astype(float) / table["se"].astype(float) - stats.t.isf(plan.form.alpha, df)
    return table.assign(reach=2 * stats.norm.cdf(room) - 1 >= 0.5)


@in_one_thread
def _chunk(task: Task, job: Job) -> tuple[Job, list[str]]:
    return job, [_word(task, task.sizes[job.size], (task.seed, job.size, number)) for number in job.studies]


def _word(task: Task, size: Size, seed: Sequence[int]) -> str:
    """The verdicts of one study, a letter each, a capital where 'negligible' was within reach.

    A row that a study of this size does not have (too few collaborations for slopes between them)
    is not testable.
    """
    try:
        found = study(task.plan, task.world, size, seed)
    except CocoError:
        return FAILED
    letters = {
        key: LETTERS[verdict].upper() if reach else LETTERS[verdict]
        for key, verdict, reach in zip(_keys(found), found["verdict"], found["reach"])
    }
    return "".join(letters.get(key, ABSENT if key in task.stand_ins else LETTERS["not testable"]) for key in task.keys)


def _keys(rows: pd.DataFrame) -> tuple[str, ...]:
    return tuple("|".join(words) for words in rows[["hypothesis", "outcome", "predictor"]].astype(str).to_numpy())


def _tested(plan: Plan, gates: bool) -> Plan:
    """The plan without the hypotheses that are explored only; of its gates those that guard what is left, with the one
    rival that a verdict depends on."""
    families = plan.form.families
    tested = [hypothesis for hypothesis in plan.hypotheses if not families[hypothesis.family].exploratory]
    ids = {hypothesis.id for hypothesis in tested}
    kept = [gate.model_copy(update={"against": [rival for rival in gate.against if rival == "one_factor"]})
            for gate in plan.form.gates if gates and ids & set(gate.guards)]  # fmt: skip
    form = plan.form.model_copy(update={"gates": kept, "multiverse": None, "hypotheses": tested})
    return Plan(form, plan.path, plan.survey)


def _rows(plan: Plan, world: World, size: Size) -> pd.DataFrame:
    """What is judged, with the verdict that is right in this world; what stands in behind gates comes last."""
    ungated = Plan(plan.form.model_copy(update={"gates": []}), plan.path, plan.survey)
    found = pd.concat([study(ungated, world, size, (0, 0, 0)), stand_ins(plan)], ignore_index=True)
    keep = ["hypothesis", "outcome", "predictor", "expected", "level", "family", "sesoi", "label"]
    rows = found[keep].reset_index(drop=True)
    truths = [world.truth(*words) for words in rows[keep[:3]].astype(str).to_numpy()]
    names = _names(rows)
    rows.insert(0, "row", names)
    return rows.assign(truth=pd.Series(truths, dtype=object))


def _names(rows: pd.DataFrame) -> list[str]:
    """The hypothesis, with the outcome or predictor where it has several rows."""
    groups = rows.groupby("hypothesis", sort=False)
    names = []
    for row in rows[["hypothesis", "outcome", "predictor"]].astype(str).to_dict("records"):
        kinds = groups.get_group(row["hypothesis"])
        part = "outcome" if kinds["outcome"].nunique() > 1 else "predictor"
        names.append(row["hypothesis"] if len(kinds) == 1 else f"{row['hypothesis']} {row[part]}")
    return names


def _right_and_wrong(letters: np.ndarray, truth: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    wanted = np.array([LETTERS.get(one, "") for one in truth.fillna("")])
    decided = np.isin(letters, [LETTERS[one] for one in DECIDED])
    return letters == wanted, decided & (letters != wanted) & (wanted != "")


# Many studies --------------------------------------------------------------------------------------


def _run(
    backend: str, task: Task, jobs: Sequence[Job], workers: int, scheduler: str | None
) -> Iterator[tuple[Job, list[str]]]:
    if backend == "dask":
        return _on_dask(task, jobs, workers, scheduler)
    if workers == 1:
        return (_chunk(task, job) for job in jobs)
    from joblib import Parallel, delayed

    tasks = (delayed(_chunk)(task, job) for job in jobs)
    return iter(Parallel(n_jobs=workers, return_as="generator_unordered")(tasks))


def _on_dask(task: Task, jobs: Sequence[Job], workers: int, scheduler: str | None) -> Iterator[tuple[Job, list[str]]]:
    try:
        from distributed import Client, LocalCluster, as_completed
    except ImportError:
        raise ModelError(
            "The backend 'dask' needs the extra: pip install 'cocoanalysis[dask]'.", code="NoDask"
        ) from None
    here = None if scheduler else LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
    try:
        with Client(scheduler or here) as client:
            shared = client.scatter([task], broadcast=True)[0]
            futures = [client.submit(_chunk, shared, job, pure=False) for job in jobs]
            for future in as_completed(futures):
                yield future.result()
    finally:
        if here is not None:
            here.close()


def _jobs(done: Sequence[Sequence[str]], replicates: int) -> Iterator[Job]:
    for size, words in enumerate(done):
        open_ones = [number for number in range(replicates) if not words[number]]
        for start in range(0, len(open_ones), CHUNK):
            yield Job(size, tuple(open_ones[start : start + CHUNK]))


def _count(done: Iterable[Sequence[str]]) -> int:
    return sum(bool(word) for one in done for word in one)


def _letters(words: Sequence[str], rows: int) -> np.ndarray:
    full = [list(word) if len(word) == rows else [FAILED] * rows for word in words]
    return np.array(full, dtype="<U1").reshape(len(words), rows)


def _design(world: World) -> Size:
    return world.file.design.clusters, float(world.file.design.raters)


def _size(size: Any, world: World) -> Size:
    """(collaborations, raters), or a number of rows with the design's raters."""
    raters = float(world.file.design.raters)
    if isinstance(size, (int, np.integer)):
        size = (max(round(size / raters), 2), size / max(round(size / raters), 2))
    if not isinstance(size, Sequence) or isinstance(size, str) or len(size) != 2 or not all(map(is_number, size)):
        raise ModelError(
            f"A size is a number of rows or (collaborations, raters), as (60, 15); {shown(size)} came.",
            code="BadArgument",
        )
    clusters, per = size
    if clusters < 2 or per < 1:
        raise ModelError(
            f"A study needs at least two collaborations with a rater each; {clusters} × {per} came.", code="TooFewRows"
        )
    return int(clusters), float(per)


# Files ---------------------------------------------------------------------------------------------


def _settings(plan: Plan, world: World, cells: Sequence[Size], seed: int, gates: bool) -> dict[str, Any]:
    return {
        "plan": plan.id,
        "plan_hash": plan_hash(plan, gates),
        "gates": gates,
        "world": world.id,
        "world_hash": world_hash(world),
        "sizes": [list(cell) for cell in cells],
        "seed": seed,
    }


def _resumed(
    path: str | Path | None, settings: Mapping[str, Any], rows: pd.DataFrame, sizes: int, replicates: int
) -> list[list[str]]:
    """What an earlier run has finished, for as many studies as are asked for now."""
    done = [[""] * replicates for _ in range(sizes)]
    if path is None or not Path(path).is_file():
        return done
    content = _read(Path(path))
    if content["settings"] != dict(settings):
        differing = [key for key, value in settings.items() if content["settings"].get(key) != value]
        raise ModelError(
            f"'{Path(path).name}' holds another run (it differs in {listed(differing)}); name another file, or delete "
            "this one to begin anew.",
            code="OtherRun",
        )
    return [
        [*earlier[: max(replicates, len(earlier))], *[""] * (replicates - len(earlier))]
        for earlier in content["studies"]
    ]


def _write(path: Path, settings: Mapping[str, Any], rows: pd.DataFrame, studies: Sequence[Sequence[str]]) -> Path:
    """Write the file beside and rename it, so that a stop never leaves half a file."""
    records = rows.astype(object).where(rows.notna(), None).to_dict("records")
    content = {"settings": dict(settings), "rows": records, "studies": [list(one) for one in studies]}
    content["sha256"] = _content_hash(content)
    half = path.with_name(path.name + ".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    with half.open("w", encoding="utf-8") as file:
        json.dump(content, file, ensure_ascii=False, indent=1)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)
    return path


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ModelError(f"There is no file '{path}'; make it with coco.power(…).write(…).", code="NoSuchFile")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        intact = content.pop("sha256") == _content_hash(content)
    except (ValueError, KeyError, TypeError, AttributeError):
        intact = False
    if not intact:
        raise ModelError(
            f"'{path.name}' is not a whole file of a power analysis (its hash does not fit); make it again.",
            code="Damaged",
        )
    return content


def _content_hash(content: Mapping[str, Any]) -> str:
    return sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
