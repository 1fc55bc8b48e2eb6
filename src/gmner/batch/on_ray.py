"""Predictions on a cluster: Ray Data reads posts, deals shards of them out to actors that hold the system, and counts.

Tasks that read (no CPU of their own, so that actors can not starve them) cut the source into shards. Each shard is one
block. A pool of actors takes them: an actor predicts a shard and writes it (`batch.shards`), and hands on its counts
only. The system lives in a process of the actor (`batch.workers`), so that a post that kills it costs one post, as it
does without Ray; an actor or a machine that is lost costs the shards that it had, which Ray gives to others.
"""

import contextlib
import importlib.util
import logging
import os
import pickle
import secrets
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import islice
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gmner.batch.files import BATCH_SIZE
from gmner.batch.manifest import describe
from gmner.batch.shards import Counts, Shard, ShardFolder, cut
from gmner.batch.share import Outcome, Share
from gmner.batch.source import Source
from gmner.batch.summary import Summary
from gmner.batch.workers import Worker, while_it_works
from gmner.data.files import elsewhere, refuse_source
from gmner.errors import ConfigError, FailureError, GmnerError, MissingPackageError
from gmner.progress import progress_bar
from gmner.systems.system import System

if TYPE_CHECKING:
    import pyarrow

SHARD_SIZE: Final = 1000

_STORE: Final = 256 * 1024 * 1024
"""Bytes of shared memory on this computer, for the shards that wait: texts and paths, not pictures."""

_COLUMN: Final = "value"

# What a cluster that we start is told. Ray takes the address of a network card for its node where it is allowed to
# form clusters (the switch is named after the systems on which it is off); without that it stays on 127.0.0.1.
_LOCAL: Final = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "token"}
_QUIET: Final = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}


@dataclass(frozen=True)
class Actors:
    """The actors that hold the system: how many at least and at most, with how many CPUs and GPUs each.

    Parts of a CPU or GPU are allowed. Without `most`, there are as many as the cluster has room for; without
    `address`, the cluster is this computer, and is started and ended with the run.
    """

    least: int = 1
    most: int | None = None
    cpus: float = 1.0
    gpus: float = 0.0
    address: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.least <= (self.most or self.least):
            raise ConfigError(
                f"{self.least} to {self.most} actors",
                allowed="there is at least one, and the second number is not below the first",
                todo="give other numbers, such as 2 or 1:8",
            )
        if self.cpus < 0 or self.gpus < 0 or self.cpus + self.gpus == 0:
            raise ConfigError(
                f"{self.cpus:g} CPUs and {self.gpus:g} GPUs for an actor",
                allowed="each is 0 or more, and one of them is more",
                todo="give other numbers, such as 1 and 0.5",
            )


def predict_shards(
    make: Callable[[], System],
    source: Source,
    target: Path,
    *,
    settings: Mapping[str, Any] | None = None,
    actors: Actors = Actors(),
    shard_size: int = SHARD_SIZE,
    batch_size: int = BATCH_SIZE,
    restart: bool = False,
    progress: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> Summary:
    """Predict every post of `source` on Ray and write the predictions to the folder `target`, as shards of Parquet.

    Rows and errors are those of `batch.files.predict_file`, shard by shard (`batch.shards`): files in the order of
    their names, rows in the order of the input. Ids are unique within a file. Both places may be URLs
    (`data.files.location`); all machines of the cluster must reach them, and have this package.

    A shard that is done is not computed again, whenever the run is killed, and by whichever machine is lost. The same
    command goes on; on an output that is complete it computes nothing and says the same. `settings` say, in terms of
    JSON, what `make` makes, which is pickled; `restart` drops what is done.

    Raises:
        MissingPackageError: Ray is not installed.
        DataError: there is no such source, or the target can not be written, lies in the source, or is of another run.
        ConfigError: a number that can not be, or there is no cluster at the address.
        FailureError: the system fails whatever it is given, or the cluster is gone; what was done is kept.
    """
    for name, number in (("rows of a shard", shard_size), ("batch size", batch_size)):
        if number < 1:
            raise ConfigError(f"a number of {name} of {number}", allowed="it is 1 or more", todo="give a higher one")
    # Workers have working folders of their own.
    source = replace(source, path=source.path.absolute(), images=source.images and source.images.absolute())
    output = ShardFolder(target.absolute())
    _check_apart(source, output)
    _require_ray()
    parts = source.parts()
    output.begin(describe(source, output.path, {**(settings or {}), "shard_size": shard_size}), restart=restart)
    names: set[str] = set()
    totals = [0, 0, 0]
    with _cluster(actors) as most, progress_bar("posts", shown=progress) as bar:
        say(f"{most} actor{'s' * (most > 1)} at most, {actors.cpus:g} CPUs and {actors.gpus:g} GPUs each")
        total = None if bar.disable or len(parts) > 1 or elsewhere(source.path) else source.count()
        task = bar.add_task(source.path.name, total=total)
        predictor = partial(_Predictor, make, output, batch_size, max(1, int(actors.cpus)))
        for counts in _run(parts, predictor, shard_size, actors, most):
            names.add(counts.name)
            totals = [total + number for total, number in zip(totals, counts[1:], strict=True)]
            bar.advance(task, counts.posts + counts.errors)
    output.check_whole(names)
    posts, entities, errors = totals
    return Summary(posts, entities, errors, errors_file=output.errors if errors else None)


class _Predictor:
    """What an actor holds: a process with the system, and the way to the output."""

    def __init__(self, make: Callable[[], System], output: ShardFolder, batch_size: int, threads: int) -> None:
        self._make, self._output, self._batch_size, self._threads = make, output, batch_size, threads

    def __call__(self, batch: "pyarrow.Table") -> "pyarrow.Table":
        return _pack([self._done(work) for work in _unpack(batch)])

    def _done(self, work: Shard | GmnerError) -> Counts | GmnerError:
        """Errors travel as values: as exceptions they would arrive inside others, with the stacks of all machines."""
        if isinstance(work, GmnerError):
            return work
        try:
            return self._output.counts(work) or self._output.save(work, self._entries(work))
        except GmnerError as error:
            return error

    def _entries(self, shard: Shard) -> Iterator[bytes]:
        for _, outcome in while_it_works(self._outcomes(shard)):
            yield from outcome.entries

    def _outcomes(self, shard: Shard) -> Iterator[tuple[Share, Outcome]]:
        rest = iter(shard.rows)
        while rows := list(islice(rest, self._batch_size)):
            share = Share(shard.source, self._output.folder_of(shard.name), rows)
            self._worker.begin(0, share)
            yield share, self._worker.finish()

    @cached_property
    def _worker(self) -> Worker:
        """Started for the first shard that is not done yet."""
        return Worker(self._make, self._threads)


def _shards(batch: "pyarrow.Table", size: int) -> Iterator["pyarrow.Table"]:
    """What a task that reads does: the shards of some parts of the source, one after another."""
    for name, part in _unpack(batch):
        try:
            for shard in cut(name, part, size):
                yield _pack([shard])
        except GmnerError as error:
            yield _pack([error])


def _run(
    parts: list[tuple[str, Source]], predictor: partial[_Predictor], size: int, actors: Actors, most: int
) -> Iterator[Counts]:
    """The counts of all shards, as they are done."""
    import ray
    from ray.data import ActorPoolStrategy, DataContext, TaskPoolStrategy, from_items

    context = DataContext.get_current().copy()
    context.target_max_block_size = 1  # each shard is a block of its own, and goes to any actor
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    readers = min(len(parts), 1 + most // 8)
    with DataContext.current(context):
        dataset = (
            from_items([{_COLUMN: pickle.dumps(part)} for part in parts], override_num_blocks=len(parts))
            .map_batches(
                _shards,
                fn_kwargs={"size": size},
                batch_size=1,
                batch_format="pyarrow",
                compute=TaskPoolStrategy(size=readers),
                num_cpus=0,
            )
            .map_batches(
                _Predictor,
                fn_constructor_args=predictor.args,
                batch_size=1,
                batch_format="pyarrow",
                # Ray Data starts lost actors anew, and tries their shards again, as often as it takes.
                compute=ActorPoolStrategy(min_size=actors.least, max_size=most, max_tasks_in_flight_per_actor=2),
                num_cpus=actors.cpus,
                num_gpus=actors.gpus,
            )
        )
        try:
            for batch in dataset.iter_batches(batch_size=None, batch_format="pyarrow"):
                for done in _unpack(batch):
                    if isinstance(done, GmnerError):
                        raise done
                    yield done
        except ray.exceptions.RayError as error:
            if isinstance(error, ray.exceptions.RayTaskError):
                raise  # a fault of ours, with its place
            raise FailureError(
                f"Ray gave up ({type(error).__name__}: {str(error).splitlines()[0]})",
                allowed="lost actors and machines are replaced, a lost head node is not; what was done is kept",
                todo="bring the cluster back, and start the same command again",
            ) from None


def _pack(values: list[Any]) -> "pyarrow.Table":
    import pyarrow

    return pyarrow.table({_COLUMN: pyarrow.array([pickle.dumps(value) for value in values], pyarrow.large_binary())})


def _unpack(batch: "pyarrow.Table") -> Iterator[Any]:
    return map(pickle.loads, batch.column(_COLUMN).to_pylist())


@contextlib.contextmanager
def _cluster(actors: Actors) -> Generator[int]:
    """A connection to the cluster, and the highest number of actors. Our own opens no socket but on 127.0.0.1.

    What a cluster of our own writes for itself goes to a temporary folder, and with it.
    """
    for key, value in {**_QUIET, **({} if actors.address else _LOCAL)}.items():
        os.environ.setdefault(key, value)
    if actors.address is None:
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    import ray
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    with contextlib.ExitStack() as stack:
        if actors.address is None:
            most = actors.most or max(actors.least, int((os.cpu_count() or 1) // (actors.cpus or 1)))
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="gmner-ray-", ignore_cleanup_errors=True))
            own = {"num_cpus": ceil(most * actors.cpus), "object_store_memory": _STORE, "_temp_dir": folder}
            try:
                ray.init(address="local", include_dashboard=False, **own, **quiet)
            except Exception as error:  # Ray has no type for it
                raise FailureError(
                    f"Ray could not be started here ({str(error).splitlines()[0]})",
                    allowed="its processes need half a minute at most to find each other",
                    todo="try again when the computer is less busy, or give the --address of a cluster",
                ) from None
        else:
            try:
                ray.init(address=actors.address, **quiet)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise ConfigError(
                    f"no Ray cluster at {actors.address!r} ({str(error).splitlines()[0]})",
                    allowed="an address is HOST:PORT of a head node, or `auto` on one of its machines",
                    todo="check it with `ray status --address`, or leave --address out",
                ) from None
            most = actors.most or max(actors.least, _room(ray.cluster_resources(), actors))
        stack.callback(ray.shutdown)
        yield most


def _room(resources: Mapping[str, float], actors: Actors) -> int:
    """How many actors there is room for."""
    wanted = {"CPU": actors.cpus, "GPU": actors.gpus}
    return int(min(resources.get(name, 0) // amount for name, amount in wanted.items() if amount))


def _check_apart(source: Source, output: ShardFolder) -> None:
    """Refuse an output in the folder of posts: it would be read as posts."""
    for place in (output.path, output.errors):
        refuse_source(place, source.path)


def _require_ray() -> None:
    if importlib.util.find_spec("ray") is None:
        raise MissingPackageError(
            "ray is not installed", allowed="--engine ray needs it", todo='pip install "gmner[ray]"'
        )
