"""The serve stage of a run: starts the champion, asks it a question over HTTP and stops it.

`dolly serve` keeps the server running, see `serve_champion`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

from dolly.config import Config, Serve
from dolly.errors import ModelError, in_one_line
from dolly.evaluate.questions import Question, held_out_questions
from dolly.extras import require
from dolly.register.registry import CHAMPION, aliased_version, find_registered, version_tags
from dolly.result import StageResult
from dolly.serve.audit import AuditLog
from dolly.serve.exposure import require_safe
from dolly.serve.keys import KeyFile
from dolly.serve.server import bind, serve_forever, serving, url
from dolly.state import State
from dolly.tracking import connect

if TYPE_CHECKING:
    from dolly.engines.served import ServedModel
    from dolly.pipeline import Context
    from dolly.prompts import Message
    from dolly.serve.filters import Filters
    from dolly.serve.models import Models
    from dolly.serve.routes import Limits

_ANY_QUESTION: list[Message] = [{"role": "user", "content": "What can you tell me?"}]


def run(context: Context) -> StageResult:
    """Checks that the champion answers over HTTP with the prompt of its own training.

    The champion may come from another config: the question is a held-out row of its own data set.
    """
    config = context.config
    name = config.register_.name
    with context.tracker.stage("serve") as stage:
        served = load(f"{name}@{CHAMPION}", config, context.state, context.say)
        try:
            version = served.version
            question = _question(context, name, version)
            messages = question.messages if question else _ANY_QUESTION
            body = _ask(served, config, messages)
            expected = question.prompt_ids if question else served.prompt_ids(messages)
        finally:
            served.engine.close()
        if body["prompt_token_ids"] != expected:
            raise ModelError(
                found=f"the served {name} version {version} encodes a held-out question otherwise than its training",
                expected="the prompt ids of its gold rows",
                fix="this is a defect of the server: run with --debug",
            )
        asked, answer = messages[-1]["content"], body["choices"][0]["message"]["content"]
        engine = served.engine.name
        stage.tags({"model": name, "version": version, "engine": engine, "question": asked, "answer": answer})
        context.say(f"{name}@{CHAMPION} (version {version}, {engine}) was asked over HTTP: {asked}")
        context.say(f"  {answer}")
        return stage.result(ids={"model": name, "version": version, "engine": engine})


def _question(context: Context, name: str, version: str) -> Question | None:
    """A held-out question of the data set of a model version; None if those rows can't be read."""
    tags = version_tags(name, version)
    dataset, gold = tags.get("dataset", "no data set"), tags.get("gold_version", "")
    try:
        questions = held_out_questions(context.tables, dataset=dataset, version=int(gold), limit=1)
    except Exception as error:  # the exceptions depend on the store; the check continues without the question
        reason = in_one_line(error, longest=200)
    else:
        if questions:
            return questions[0]
        reason = "that version has no held-out rows"
    context.say(
        f"{name} version {version} was trained on {dataset}, version {gold or 'unknown'} of gold_examples, which can't "
        f"be read ({reason}); it is asked a question of no data set, and its prompt is not compared"
    )
    return None


def _ask(served: ServedModel, config: Config, messages: Sequence[Message]) -> dict[str, Any]:
    """Asks one question over HTTP; returns the response.

    Raises:
        ModelError: the status is not 200.
    """
    import httpx

    from dolly.serve.app import make_app
    from dolly.serve.models import Models

    app = make_app(Models({f"{served.name}@{CHAMPION}": served}), _limits(config))
    request = {"messages": messages, "max_tokens": config.evaluate.max_new_tokens, "return_token_ids": True}
    with serving(app, bind(config.serve.host, 0)) as address:
        response = httpx.post(f"{address}/v1/chat/completions", json=request, timeout=120, trust_env=False)
    if response.status_code != 200:
        raise ModelError(
            found=f"the served {served.name} answered {response.status_code}: {response.text[:200]}",
            expected="200",
            fix="this is a defect of the server: run with --debug",
        )
    body: dict[str, Any] = response.json()
    return body


def load(key: str, config: Config, state: State, say: Callable[[str], None]) -> ServedModel:
    """Loads a registered model for serving.

    Args:
        key: `name@alias`; without an alias the champion.
        config: its section `serve` says how.
        state: where converted models are kept.
        say: reports what takes time.

    Raises:
        ModelError: there is no such model, or it can't be served so.
    """
    from dolly.engines.served import open_model

    name, _, alias = key.partition("@")
    return open_model(find_registered(name, alias=alias or CHAMPION), config.serve, state.engines, say)


def _limits(config: Config) -> Limits:
    from dolly.serve.routes import Limits

    settings = config.serve
    return Limits(
        new_tokens=settings.max_new_tokens,
        body_bytes=settings.body_bytes,
        running=settings.running,
        waiting=settings.waiting,
        wait_seconds=settings.wait_seconds,
        answer_seconds=settings.answer_seconds,
        requests_per_minute=settings.requests_per_minute,
    )


def _filters(settings: Serve) -> Filters:
    from dolly.serve.filters import Filters, make_filter

    if any(each.personal_data for each in settings.filters):
        require("spark", "phonenumbers", "stdnum")
    return Filters([make_filter(each) for each in settings.filters])


def _following(
    models: Models, config: Config, state: State, say: Callable[[str], None]
) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """What runs beside the server: it follows the aliases of its models."""
    from dolly.serve.models import follow_aliases

    @asynccontextmanager
    async def beside(_: Any) -> AsyncGenerator[None]:
        follower = asyncio.ensure_future(
            follow_aliases(
                models,
                version_of=lambda key: aliased_version(*key.split("@")),
                load=lambda key: load(key, config, state, say),
                seconds=config.serve.refresh_seconds,
            )
        )
        yield
        follower.cancel()

    return beside


def serve_champion(config: Config, *, alias: str = CHAMPION) -> None:
    """Serves registered models until interrupted."""
    from rich.console import Console

    from dolly.serve.app import make_app
    from dolly.serve.feedback import FeedbackLog
    from dolly.serve.models import Models
    from dolly.serve.router.run import join_router

    settings = config.serve
    say = Console(highlight=False, markup=False).print
    state = State.of(config)
    api_keys = KeyFile(state.api_keys)
    behind_router = settings.router.url is not None
    require_safe(settings, keyed=behind_router or bool(api_keys.all()))
    filters = _filters(settings)
    listener = bind(settings.host, settings.port)
    connect(state)
    keys = [f"{config.register_.name}@{alias}"]
    keys += [key if "@" in key else f"{key}@{CHAMPION}" for key in settings.models]
    models = Models({key: load(key, config, state, say) for key in dict.fromkeys(keys)})

    audit = AuditLog(state.home / "audit", settings.audit)
    feedback = FeedbackLog(state.home / "feedback") if settings.feedback else None
    host, port = listener.getsockname()[:2]
    address = url(host, port, tls=bool(settings.tls_certificate))
    for key, model in models.served.items():
        say(f"{key} (version {model.version}, {model.engine.name}) at {address}/v1; Ctrl-C stops it")
    try:
        app = make_app(
            models,
            _limits(config),
            keys=None if behind_router else api_keys,
            audit=audit,
            filters=filters,
            feedback=feedback,
            lifespan=_following(models, config, state, say),
        )
        join_router(app, settings, listener)
        serve_forever(
            app,
            listener,
            end_seconds=settings.end_seconds,
            certificate=settings.tls_certificate,
            key=settings.tls_key,
        )
    finally:
        models.close()
