"""The models that a server holds, by name and alias, and what happens when an alias moves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dolly.engines.served import ServedModel
from dolly.errors import in_one_line
from dolly.serve.errors import Refusal

_log = logging.getLogger(__name__)


class Models:
    """Registered models, each under `name@alias`; the first one is the default.

    Args:
        served: by `name@alias`.
    """

    def __init__(self, served: dict[str, ServedModel]) -> None:
        self._served = served
        self._users: dict[ServedModel, int] = {}
        self._retired: set[ServedModel] = set()

    @property
    def served(self) -> dict[str, ServedModel]:
        """The models by `name@alias`, in the order of the config."""
        return dict(self._served)

    @property
    def default(self) -> ServedModel:
        """The model of requests that name none."""
        return next(iter(self._served.values()))

    def find(self, name: str | None) -> ServedModel:
        """The model of a request: `name@alias`, a name alone for the first of its aliases, or none for the default.

        Raises:
            Refusal: there is no such model.
        """
        if name is None:
            return self.default
        for key, model in self._served.items():
            if name in (key, model.name):
                return model
        known = ", ".join(self._served)
        raise Refusal(404, f"found no model {name!r}; this server has {known}", param="model", code="model_not_found")

    def key_of(self, model: ServedModel) -> str:
        """The `name@alias` of a served model."""
        return next(key for key, served in self._served.items() if served is model)

    @contextmanager
    def in_use(self, model: ServedModel) -> Iterator[None]:
        """Keeps a model while its answers are generated, also when its alias moves."""
        self._users[model] = self._users.get(model, 0) + 1
        try:
            yield
        finally:
            self._users[model] -= 1
            self._close_unused(model)

    def replace(self, key: str, model: ServedModel) -> None:
        """Serves another version from now on; the old one ends with its last answer."""
        old, self._served[key] = self._served[key], model
        self._retired.add(old)
        self._close_unused(old)

    def close(self) -> None:
        """Ends all engines."""
        for model in {*self._served.values(), *self._retired}:
            model.engine.close()

    def _close_unused(self, model: ServedModel) -> None:
        if model in self._retired and not self._users.get(model):
            self._retired.discard(model)
            asyncio.get_running_loop().run_in_executor(None, model.engine.close)


async def follow_aliases(
    models: Models, *, version_of: Callable[[str], str], load: Callable[[str], ServedModel], seconds: float
) -> None:
    """Loads the version that an alias has moved to, beside the old one, and then serves it; runs until cancelled.

    Args:
        models: what is served.
        version_of: the registry's version of a `name@alias`.
        load: makes a `ServedModel` of it.
        seconds: between two looks at the registry.
    """
    while True:
        await asyncio.sleep(seconds)
        for key, model in models.served.items():
            try:
                if await asyncio.to_thread(version_of, key) == model.version:
                    continue
                models.replace(key, await asyncio.to_thread(load, key))
            except Exception as error:  # of the registry or the new version; it may be well at the next look
                _log.warning("%s stays at version %s: %s", key, model.version, in_one_line(error, longest=400))
            else:
                _log.warning("%s is version %s now", key, models.served[key].version)
