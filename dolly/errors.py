"""The errors that Dolly raises on purpose; each says what was found, what was expected, what to do.

    DollyError                     the work could not be done         exit code 1
    ├── DataError                  a source or table is not usable
    ├── EnvironmentFault           Java, jars, disk, port or package
    ├── ModelError                 a base model, checkpoint or registered model
    ├── ReconciliationError        rows in != rows out
    ├── TrackingError              MLflow's server or database
    ├── TrainingError              the training processes failed
    ├── TrainingStopped            a SIGTERM; the same command goes on  exit code 75
    └── UsageError                 the request itself is wrong        exit code 2
        └── ConfigError            the YAML or a key=value override

Anything else that reaches the command line is a defect of ours: it is reported as such, with
`--debug` for the traceback. Messages quote values of configs and of database drivers, so secrets in
them are masked.
"""

from dolly.secrets import redacted


class DollyError(Exception):
    """An expected failure, told in one line.

    Args:
        found: what is there.
        expected: what should have been there.
        fix: what the reader can do about it.
    """

    exit_code = 1

    def __init__(self, *, found: str, expected: str, fix: str) -> None:
        self.found, self.expected, self.fix = redacted(found), redacted(expected), redacted(fix)
        text = f"found {self.found}; expected {self.expected}; to fix: {self.fix}"
        super().__init__(" ".join(line.strip() for line in text.splitlines()))


class DataError(DollyError):
    """A source file or a table can't be read as what the config says it is."""


class EnvironmentFault(DollyError):
    """Something outside the project is missing or busy."""


class ModelError(DollyError):
    """A model can't be found, loaded or trusted."""


class ReconciliationError(DollyError):
    """A stage lost or invented rows; nothing may pass silently."""


class TrackingError(DollyError):
    """MLflow's tracking store or registry can't be reached, or refuses what is logged."""


class TrainingError(DollyError):
    """The training processes ended without a model."""


class TrainingStopped(DollyError):
    """A SIGTERM came: what was done is saved. The code is sysexits.h's EX_TEMPFAIL, on which schedulers retry."""

    exit_code = 75


class UsageError(DollyError):
    """The request itself is wrong."""

    exit_code = 2


class ConfigError(UsageError):
    """The config has faults; `faults` holds all of them, one line each."""

    def __init__(self, *, source: str, faults: list[str]) -> None:
        self.faults = faults = [redacted(fault) for fault in faults]
        count = f"{len(faults)} fault" + ("s" if len(faults) != 1 else "")
        super().__init__(
            found=f"{count} in {source}: " + " | ".join(faults),
            expected="the keys and types of conf/schema.json",
            fix=f"correct {source} or the key=value override",
        )
