"""The MLflow registry: models are registered with the hashes of their inputs and loaded by alias.

`dolly.tracking.connect` sets the tracking server and the registry, which may be different servers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dolly.card import ModelFiles
from dolly.errors import ModelError

if TYPE_CHECKING:
    from dolly.inference import ChatModel

CHALLENGER, CHAMPION = "challenger", "champion"


def find_version(name: str, *, weights_sha256: str) -> str | None:
    """The newest registered version that has these weights."""
    import mlflow

    query = f"name = '{name}' and tag.weights_sha256 = '{weights_sha256}'"
    versions = mlflow.MlflowClient().search_model_versions(query)
    return str(max(int(version.version) for version in versions)) if versions else None


def add_version(name: str, folder: Path, *, tags: dict[str, Any]) -> str:
    """Logs a trained model in the active run and registers it; returns its version.

    Args:
        name: the registered model.
        folder: weights, tokenizer and card, as the train stage writes them.
        tags: the version's origin.
    """
    import importlib.metadata

    import mlflow

    packages = ("torch", "transformers", "accelerate")
    info = mlflow.transformers.log_model(
        transformers_model=str(folder),
        name="model",
        task="llm/v1/chat",
        # Without this, MLflow would infer more packages than the model needs.
        pip_requirements=[f"{package}=={importlib.metadata.version(package)}" for package in packages],
        metadata={key: str(value) for key, value in tags.items()},
    )
    version = mlflow.register_model(info.model_uri, name, tags={key: str(value) for key, value in tags.items()})
    return str(version.version)


def set_alias(name: str, alias: str, version: str) -> bool:
    """Points an alias at a version; returns True if it pointed elsewhere before."""
    import mlflow

    client = mlflow.MlflowClient()
    if str(client.get_registered_model(name).aliases.get(alias)) == version:  # SQL stores give a number
        return False
    client.set_registered_model_alias(name, alias, version)
    return True


def describe(name: str, version: str, *, model: str, text: str, tags: Mapping[str, str]) -> None:
    """Sets the descriptions, as Markdown, of a registered model and of one of its versions, and the version's tags."""
    import mlflow

    client = mlflow.MlflowClient()
    client.update_registered_model(name, description=model)
    client.update_model_version(name, version, description=text)
    for key, value in tags.items():
        client.set_model_version_tag(name, version, key, value)


def version_tags(name: str, version: str) -> dict[str, str]:
    """The tags of a version: `dataset`, `gold_version`, `training_set` and others."""
    import mlflow

    return dict(mlflow.MlflowClient().get_model_version(name, version).tags)


def find_registered(name: str, *, alias: str = CHAMPION) -> ModelFiles:
    """Finds the version that an alias points at, and brings its files to this machine if they are elsewhere.

    Raises:
        ModelError: no such model or alias.
    """
    import mlflow

    version = aliased_version(name, alias)
    folder = Path(mlflow.artifacts.download_artifacts(f"models:/{name}/{version}"))
    tags = version_tags(name, version)
    return ModelFiles(name, version, tags, folder / "model", folder / "components" / "tokenizer")


def aliased_version(name: str, alias: str) -> str:
    """The version that an alias points at.

    Raises:
        ModelError: no such model or alias.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    client = mlflow.MlflowClient()
    try:
        return str(client.get_model_version_by_alias(name, alias).version)
    except MlflowException as error:
        names = [model.name for model in client.search_registered_models()]
        registered = ", ".join(names) or "none"
        if name in names:
            aliases = client.get_registered_model(name).aliases
            registered = f"{name} with {', '.join(sorted(aliases)) or 'no alias'}"
        raise ModelError(
            found=f"no registered model {name}@{alias} (registered: {registered})",
            expected="a model that passed the gate",
            fix="run dolly run CONFIG, or name another model or alias",
        ) from error


def artifact_address(name: str, version: str) -> str:
    """Where the files of a version are kept: the URI of a folder."""
    import mlflow

    return str(mlflow.MlflowClient().get_model_version_download_uri(name, version))


def load_registered(name: str, *, alias: str = CHAMPION) -> tuple[ChatModel, str]:
    """Loads the model that an alias points at; returns it with its version.

    Raises:
        ModelError: no such model or alias, or its files can't be read.
    """
    found = find_registered(name, alias=alias)
    from dolly.inference import ChatModel  # imports torch, so only once there is something to load

    return ChatModel.from_trained(found.folder, tokenizer=found.tokenizer), found.version


def only_model() -> str:
    """The name of the only registered model.

    Raises:
        ModelError: there is none, or more than one.
    """
    import mlflow

    names = [model.name for model in mlflow.MlflowClient().search_registered_models()]
    if len(names) != 1:
        raise ModelError(
            found=f"{len(names)} registered models ({', '.join(names) or 'none'})",
            expected="one, or a name",
            fix="add --model NAME" if names else "run dolly run conf/demo.yaml",
        )
    return str(names[0])
