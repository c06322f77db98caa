"""Dolly: fine-tune open language models on a company's own data, on its own machines."""

import os as _os

__version__ = "0.1.0"

# No data leaves this machine. The libraries read these variables when they are imported, so they are set here,
# before any import; allow_network in a config lifts the first one (see `pipeline`).
for _name, _value in {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "DS_ACCELERATOR_QUIET": "1",
}.items():
    _os.environ.setdefault(_name, _value)
del _name, _value
