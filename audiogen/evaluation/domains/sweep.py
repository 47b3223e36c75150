"""A sweep: every algorithm with random hyperparameters, one or two domains held out at a time.

Runs are independent, so they may be distributed over processes or a cluster. Each result is one
line of JSON, and a stopped sweep resumes with the runs that have no line yet.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from audiogen.core.atomic_write import remove_partial_line, write_whole
from audiogen.data.notes.families import FAMILIES
from audiogen.errors import FormatError, ParameterError
from audiogen.evaluation.domains.banks import N_PITCHES, Domain, read_domains
from audiogen.evaluation.domains.images import inputs

RUNS, SETTINGS = "runs.jsonl", "sweep.json"
HELD_ASIDE = 0.2  # of each domain
N_CHECKPOINTS = 2
PAPER_STEPS = 5000  # per run of DomainBed; IRM's annealing scales with the length of a run
MAX_TEST_NOTES, MAX_ASIDE_NOTES = 600, 250  # per domain, for measuring accuracies
LABELS = ("family", "pitch")
N_CLASSES = (len(FAMILIES), N_PITCHES)

Hyperparameters = dict[str, float]


def _uniform(low: float, high: float) -> Callable[[np.random.Generator], float]:
    return lambda random: float(10 ** random.uniform(low, high))


# Default and random draw of each hyperparameter. Ranges are DomainBed's (appendix D.4), except
# for learning rate and batch size (10^U(-4.5, -2.5) and 2^U(3, 9) there): runs are shorter here.
_COMMON: dict[str, tuple[float, Callable[[np.random.Generator], float]]] = {
    "lr": (1e-3, _uniform(-3.5, -2.5)),
    "batch": (32, lambda random: float(int(2 ** random.uniform(4, 6)))),
}
_BETWEEN = _uniform(-1, 1)
_ADVERSARIAL = {"lambda": (1.0, _uniform(-2, 2)), "lr_discriminator": (1e-3, _uniform(-3.5, -2.5))}
_OWN: dict[str, dict[str, tuple[float, Callable[[np.random.Generator], float]]]] = {
    "erm": {},
    "irm": {"lambda": (100.0, _uniform(-1, 5)), "anneal": (500.0, _uniform(0, 4))},
    "group-dro": {"eta": (1e-2, _uniform(-3, -1))},
    "mixup": {"alpha": (0.2, _BETWEEN)},
    "mldg": {"beta": (1.0, _BETWEEN)},
    "coral": {"gamma": (1.0, _BETWEEN)},
    "mmd": {"gamma": (1.0, _BETWEEN)},
    "dann": _ADVERSARIAL,
    "cdann": _ADVERSARIAL,
}
ALGORITHM_NAMES = tuple(_OWN)


@dataclass(frozen=True)
class Run:
    """One training of a sweep.

    Parameters
    ----------
    folder : str
        Folder of the domains.
    algorithm : str
        Name from `ALGORITHM_NAMES`.
    test : tuple of str
        Names of the held-out domains, one or two.
    draw, trial : int
        Number of the hyperparameters (0: the defaults), and of the repetition.
    n_steps : int
        Number of steps.
    """

    folder: str
    algorithm: str
    test: tuple[str, ...]
    draw: int
    trial: int
    n_steps: int

    def loaded(self) -> Run:
        """The run itself: its worker reads the domains."""
        return self

    @property
    def key(self) -> tuple[str, tuple[str, ...], int, int]:
        """Everything that distinguishes runs of one sweep."""
        return self.algorithm, self.test, self.draw, self.trial


@dataclass(frozen=True)
class Record:
    """Result of a run.

    Parameters
    ----------
    run : Run
        The run.
    hyperparameters : dict of str to float
        Values that were drawn.
    checkpoints : list of dict
        For each checkpoint ``step``, and the accuracies ``aside`` (on the notes set aside from all
        domains) and ``test`` (on the other notes of the held-out domains): by domain a list of
        one accuracy for each of `LABELS`.
    took_s : float, s
        Time of the run.
    error : str
        Reason why the run failed; empty if it did not.
    """

    run: Run
    hyperparameters: Hyperparameters = field(default_factory=dict)
    checkpoints: list[dict[str, Any]] = field(default_factory=list)
    took_s: float = 0.0
    error: str = ""

    def line(self) -> str:
        """Return the record as one line of JSON."""
        content = asdict(self)
        del content["run"]["folder"]
        return json.dumps(content)

    @classmethod
    def read(cls, line: str, folder: str) -> Record:
        """Return the record of a line."""
        content = json.loads(line)
        run = content.pop("run")
        return cls(Run(folder, **{**run, "test": tuple(run["test"])}), **content)


class RunJobs(Protocol):
    """Function that executes runs and returns their records in any order."""

    def __call__(
        self,
        runs: Sequence[Run],
        work: Callable[[Run], Record],
        failed: Callable[[Run, str], Record],
        /,
        *,
        stop: Callable[[], bool],
    ) -> Iterable[Record]: ...


def in_this_process(
    runs: Sequence[Run],
    work: Callable[[Run], Record],
    failed: Callable[[Run, str], Record],
    /,
    *,
    stop: Callable[[], bool],
) -> Iterator[Record]:
    """Execute runs in sequence until ``stop`` is true; a failure is raised."""
    return (work(run) for run in itertools.takewhile(lambda _: not stop(), runs))


def draw_hyperparameters(algorithm: str, draw: int, trial: int, n_steps: int) -> Hyperparameters:
    """Return the defaults for draw 0, otherwise random values that depend only on the arguments.

    Examples
    --------
    >>> draw_hyperparameters("coral", 0, 0, 300)
    {'lr': 0.001, 'batch': 32, 'gamma': 1.0}
    """
    random = np.random.default_rng(_seed("hyperparameters", algorithm, draw, trial))
    ranges = _COMMON | _OWN[algorithm]
    values = {
        name: default if draw == 0 else sample(random) for name, (default, sample) in ranges.items()
    }
    if "anneal" in values:
        values["anneal"] *= n_steps / PAPER_STEPS
    return values


def plan(
    folder: str | PathLike[str],
    names: Sequence[str],
    *,
    algorithms: Sequence[str] = ALGORITHM_NAMES,
    draws: int = 5,
    trials: int = 2,
    n_steps: int = 300,
) -> list[Run]:
    """Return the runs of a sweep: all algorithms, draws, trials, and sets of one or two domains.

    Raises
    ------
    ParameterError
        If an algorithm is unknown, a number is below 1, or there are fewer than three domains.
    """
    for algorithm in algorithms:
        if algorithm not in ALGORITHM_NAMES:
            raise ParameterError(
                f"algorithm={algorithm!r} must be one of {', '.join(ALGORITHM_NAMES)}"
            )
    for name, value in (("draws", draws), ("trials", trials), ("steps", n_steps)):
        if value < 1:
            raise ParameterError(f"{name}={value} must be 1 or more")
    if len(names) < 3:
        raise ParameterError(
            f"{len(names)} domains ({', '.join(names)}) are too few for a sweep, which holds two"
            " out and trains on the others: build 3 or more, 4 for two training domains"
        )
    tests = [(name,) for name in names] + list(itertools.combinations(sorted(names), 2))
    return [
        Run(str(folder), algorithm, test, draw, trial, n_steps)
        for draw in range(draws)
        for trial in range(trials)
        for test in tests
        for algorithm in algorithms
    ]


def sweep(
    runs: Sequence[Run],
    output: str | PathLike[str],
    *,
    run_jobs: RunJobs = in_this_process,
    minutes: float | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Record]:
    """Execute the runs that a folder has no record of, and return the records of all finished runs.

    Parameters
    ----------
    runs : sequence of Run
        Runs of `plan`.
    output : path
        Folder of the records: new, or from a stopped sweep.
    run_jobs : callable
        Function that executes the runs, such as `audiogen.batch.pool.run_jobs`.
    minutes : float, optional
        Time after which no run is started.
    progress : callable
        Function of (runs done, total).

    Raises
    ------
    ParameterError
        If the folder holds a sweep with other domains or another number of steps.
    """
    output = Path(output)
    folder, n_steps = runs[0].folder, runs[0].n_steps
    _claim(output, {"domains": _digest(Path(folder)), "steps": n_steps})
    remove_partial_line(output / RUNS)
    records = {record.run.key: record for record in read_records(output, folder)}
    pending = [run for run in runs if run.key not in records]
    done = len(runs) - len(pending)
    progress(done, len(runs))
    end = time.monotonic() + 60 * (np.inf if minutes is None else minutes)
    with (output / RUNS).open("a") as file:
        for record in run_jobs(pending, do_run, failed_run, stop=lambda: time.monotonic() >= end):
            if record.error:
                raise ParameterError(f"{record.run.key} failed: {record.error}")
            records[record.run.key] = record
            file.write(record.line() + "\n")
            file.flush()
            done += 1
            progress(done, len(runs))
    return [records[run.key] for run in runs if run.key in records]


def read_records(output: str | PathLike[str], folder: str = "") -> list[Record]:
    """Read the records of a sweep; a truncated last line is ignored.

    Raises
    ------
    FormatError
        If the folder has no records, or they can't be read.
    """
    path, records = Path(output) / RUNS, []
    if not path.exists():
        return []
    for number, line in enumerate(lines := path.read_text().splitlines(), 1):
        try:
            records.append(Record.read(line, folder))
        except (ValueError, TypeError, KeyError) as error:
            if number < len(lines):
                raise FormatError(f"{path}: line {number} isn't a run; remove it") from error
    return records


def failed_run(run: Run, error: str) -> Record:
    """Return the record of a run that failed."""
    return Record(run, error=error)


def do_run(run: Run) -> Record:
    """Train and measure one run."""
    began = time.perf_counter()
    domains = {domain.name: domain for domain in _domains(run.folder)}
    values = draw_hyperparameters(run.algorithm, run.draw, run.trial, run.n_steps)
    parts = {name: split(domain, run.trial) for name, domain in domains.items()}
    measured = {
        "aside": {name: aside.take(MAX_ASIDE_NOTES) for name, (_, aside) in parts.items()},
        "test": {name: parts[name][0].take(MAX_TEST_NOTES) for name in run.test},
    }
    trained = [rest for name, (rest, _) in sorted(parts.items()) if name not in run.test]
    checkpoints: list[dict[str, Any]] = []

    def measure(step: int, network: Any) -> None:
        accuracies = {
            part: {name: accuracy(network, notes) for name, notes in of.items()}
            for part, of in measured.items()
        }
        checkpoints.append({"step": step, **accuracies})

    seed = _seed("run", *run.key)
    train(run.algorithm, trained, values, run.n_steps, seed, measure)
    return Record(run, values, checkpoints, time.perf_counter() - began)


@dataclass(frozen=True)
class Notes:
    """Some notes of a domain.

    Parameters
    ----------
    images : array [n, 84, 16], uint8
        Images.
    labels : array [n, 2], int
        Family and pitch.
    """

    images: np.ndarray
    labels: np.ndarray

    def take(self, n: int) -> Notes:
        """Return the first notes."""
        return Notes(self.images[:n], self.labels[:n])


def split(domain: Domain, trial: int) -> tuple[Notes, Notes]:
    """Return four fifths of a domain, and the fifth that is set aside, drawn by the trial."""
    random = np.random.default_rng(_seed("split", domain.name, trial))
    order = random.permutation(len(domain.labels))
    n = round(HELD_ASIDE * len(order))
    parts = order[n:], order[:n]
    rest, aside = (Notes(domain.images[part], domain.labels[part]) for part in parts)
    return rest, aside


def train(
    algorithm: str,
    domains: Sequence[Notes],
    values: Mapping[str, float],
    n_steps: int,
    seed: int,
    measure: Callable[[int, Any], None] = lambda step, network: None,
) -> Any:
    """Train a network on domains, a batch of each at every step, and return it.

    Parameters
    ----------
    algorithm : str
        Name from `ALGORITHM_NAMES`.
    domains : sequence of Notes
        Training notes of each domain.
    values : mapping
        Hyperparameters.
    n_steps : int
        Number of steps.
    seed : int
        Seed of weights and batches.
    measure : callable
        Function of (step, network), called at the checkpoints.
    """
    import torch

    from audiogen.evaluation.domains.algorithms import ALGORITHMS
    from audiogen.evaluation.domains.network import block_loss, image_network

    random = np.random.default_rng(seed)
    batch, threads = int(values["batch"]), torch.get_num_threads()
    torch.set_num_threads(1)  # on images this small, more threads are slower
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        network = image_network(sum(N_CLASSES))
        learner = ALGORITHMS[algorithm](
            network, block_loss(N_CLASSES), len(domains), values, N_CLASSES[0]
        )
        checks = {round(n_steps * (i + 1) / N_CHECKPOINTS) for i in range(N_CHECKPOINTS)}
        for step in range(1, n_steps + 1):
            batches = []
            for notes in domains:
                index = random.choice(len(notes.labels), batch)
                x = torch.from_numpy(inputs(notes.images[index]))
                batches.append((x, torch.from_numpy(notes.labels[index])))
            learner.update(batches)
            if step in checks:
                network.eval()
                measure(step, network)
                network.train()
    torch.set_num_threads(threads)
    return network.eval()


def accuracy(network: Any, notes: Notes) -> list[float]:
    """Return the accuracies of family and pitch."""
    logits = predict(network, notes.images)
    read = np.stack([block.argmax(axis=1) for block in logits], axis=1)
    return [float(share) for share in (read == notes.labels).mean(axis=0)]


def predict(network: Any, images: np.ndarray) -> list[np.ndarray]:
    """Return the logits of each label, [n, n_families] and [n, n_pitches]."""
    import torch

    with torch.no_grad():
        parts = [network(part) for part in torch.from_numpy(inputs(images)).split(256)]
    return np.split(torch.cat(parts).double().numpy(), [N_CLASSES[0]], axis=1)


@lru_cache(maxsize=2)
def _domains(folder: str) -> tuple[Domain, ...]:
    return read_domains(folder)


def _seed(*parts: Any) -> int:
    """A seed that depends on all the parts."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "little")


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _claim(output: Path, settings: dict[str, Any]) -> None:
    """Make a folder of records, or accept one with the same settings."""
    path = output / SETTINGS
    try:
        output.mkdir(parents=True, exist_ok=True)
        present = json.loads(path.read_text()) if path.exists() else None
        if present is None:
            write_whole(path, json.dumps(settings))
    except (OSError, ValueError) as error:
        raise ParameterError(f"output={str(output)!r} can't be used ({error})") from error
    if present is not None and present != settings:
        raise ParameterError(
            f"output={str(output)!r} holds a sweep with {present}, this one has {settings}; name"
            " another folder"
        )
