"""The serve stage of a run: starts the champion, asks it a question over HTTP and stops it.

`dolly serve` keeps the server running, see `serve_champion`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dolly.config import Config
from dolly.errors import ModelError
from dolly.evaluate.questions import Question, held_out_questions
from dolly.register.registry import CHAMPION, load_registered, version_tags
from dolly.result import StageResult
from dolly.serve.server import bind, serve_forever, serving
from dolly.state import State
from dolly.tracking import connect

if TYPE_CHECKING:
    from dolly.inference import ChatModel
    from dolly.pipeline import Context
    from dolly.prompts import Message

_ANY_QUESTION: list[Message] = [{"role": "user", "content": "What can you tell me?"}]


def run(context: Context) -> StageResult:
    """Checks that the champion answers over HTTP with the prompt of its own training.

    The champion may come from another config: the question is a held-out row of its own data set.
    """
    config = context.config
    name = config.register_.name
    with context.tracker.stage("serve") as stage:
        model, version = load_registered(name)
        question = _question(context, name, version)
        messages = question.messages if question else _ANY_QUESTION
        body = _ask(model, config, messages, name=name, version=version)
        expected = question.prompt_ids if question else model.prompt_ids(messages)
        if body["prompt_token_ids"] != expected:
            raise ModelError(
                found=f"the served {name} version {version} encodes a held-out question otherwise than its training",
                expected="the prompt ids of its gold rows",
                fix="this is a defect of the server: run with --debug",
            )
        asked, answer = messages[-1]["content"], body["choices"][0]["message"]["content"]
        stage.tags({"model": name, "version": version, "question": asked, "answer": answer})
        context.say(f"{name}@{CHAMPION} (version {version}) was asked over HTTP: {asked}")
        context.say(f"  {answer}")
        return stage.result(ids={"model": name, "version": version})


def _question(context: Context, name: str, version: str) -> Question | None:
    """A held-out question of the data set of a model version; None if those rows can't be read."""
    tags = version_tags(name, version)
    dataset, gold = tags.get("dataset", "no data set"), tags.get("gold_version", "")
    try:
        questions = held_out_questions(context.tables, dataset=dataset, version=int(gold), limit=1)
    except Exception as error:  # the exceptions depend on the store; the check continues without the question
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    else:
        if questions:
            return questions[0]
        reason = "that version has no held-out rows"
    context.say(
        f"{name} version {version} was trained on {dataset}, version {gold or 'unknown'} of gold_examples, which can't "
        f"be read ({reason}); it is asked a question of no data set, and its prompt is not compared"
    )
    return None


def _ask(model: ChatModel, config: Config, messages: Sequence[Message], *, name: str, version: str) -> dict[str, Any]:
    """Asks one question over HTTP; returns the response.

    Raises:
        ModelError: the status is not 200.
    """
    import httpx

    from dolly.serve.app import make_app

    app = make_app(model, name=name, version=version, max_new_tokens=config.serve.max_new_tokens)
    request = {"messages": messages, "max_tokens": config.evaluate.max_new_tokens, "return_token_ids": True}
    with serving(app, bind(config.serve.host, 0)) as address:
        response = httpx.post(f"{address}/v1/chat/completions", json=request, timeout=120, trust_env=False)
    if response.status_code != 200:
        raise ModelError(
            found=f"the served {name} answered {response.status_code}: {response.text[:200]}",
            expected="200",
            fix="this is a defect of the server: run with --debug",
        )
    body: dict[str, Any] = response.json()
    return body


def serve_champion(config: Config, *, alias: str = CHAMPION) -> None:
    """Serves a registered model until interrupted."""
    from rich.console import Console

    from dolly.serve.app import make_app

    listener = bind(config.serve.host, config.serve.port)
    connect(State.of(config))
    name = config.register_.name
    model, version = load_registered(name, alias=alias)
    app = make_app(model, name=name, version=version, max_new_tokens=config.serve.max_new_tokens)
    host, port = listener.getsockname()[:2]
    Console(highlight=False).print(
        f"{name}@{alias} (version {version}) at http://{host}:{port}/v1/chat/completions; Ctrl-C stops it"
    )
    serve_forever(app, listener)
