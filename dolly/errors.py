"""The errors that Dolly raises deliberately; each says what was found, what was expected and what to do.

    DollyError                     the work could not be done         exit code 1
    ├── DataError                  a source or table is not usable
    ├── EnvironmentFault           Java, jars, disk, port or package
    ├── ModelError                 a base model, checkpoint or registered model
    ├── ReconciliationError        rows in != rows out
    ├── TrackingError              MLflow's server or database
    ├── TrainingError              the training processes failed
    ├── TrainingStopped            a SIGTERM; the same command resumes  exit code 75
    └── UsageError                 the request itself is wrong        exit code 2
        └── ConfigError            the YAML or a key=value override

Any other exception is a defect of Dolly and is reported as an unexpected error; `--debug` shows the
traceback. Messages quote values of configs and texts of database drivers, so secrets in them are masked.
"""

from dolly.secrets import redacted


def in_one_line(error: BaseException, *, longest: int) -> str:
    """An unexpected error's type and text, on one line of at most `longest` characters."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:longest]


class DollyError(Exception):
    """An expected failure, reported in one line.

    Args:
        found: what was found.
        expected: what was expected.
        fix: what the user can do about it.
    """

    exit_code = 1

    def __init__(self, *, found: str, expected: str, fix: str) -> None:
        self.found, self.expected, self.fix = redacted(found), redacted(expected), redacted(fix)
        text = f"found {self.found}; expected {self.expected}; to fix: {self.fix}"
        super().__init__(" ".join(line.strip() for line in text.splitlines()))


class DataError(DollyError):
    """A source file or a table does not have the content that the config declares."""


class EnvironmentFault(DollyError):
    """Something in the environment is missing or busy."""


class ModelError(DollyError):
    """A model can't be found, loaded or trusted."""


class ReconciliationError(DollyError):
    """A stage lost or added rows."""


class TrackingError(DollyError):
    """MLflow's tracking store or registry can't be reached, or refuses what is logged."""


class TrainingError(DollyError):
    """The training processes ended without a model."""


class TrainingStopped(DollyError):
    """A SIGTERM stopped the training after a checkpoint. Schedulers retry on this code, EX_TEMPFAIL of sysexits.h."""

    exit_code = 75


class UsageError(DollyError):
    """The request itself is wrong."""

    exit_code = 2


class ConfigError(UsageError):
    """The config is invalid; `faults` lists all errors, one line each."""

    def __init__(self, *, source: str, faults: list[str]) -> None:
        self.faults = faults = [redacted(fault) for fault in faults]
        count = f"{len(faults)} fault" + ("s" if len(faults) != 1 else "")
        super().__init__(
            found=f"{count} in {source}: " + " | ".join(faults),
            expected="the keys and types of conf/schema.json",
            fix=f"correct {source} or the key=value override",
        )
