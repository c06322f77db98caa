"""The serve stage of a run: the champion is started, asked a held-out question over HTTP, stopped.

`dolly serve` keeps it running; see `serve_champion`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dolly.config import Config
from dolly.errors import DataError, ModelError
from dolly.register.registry import CHAMPION, load_registered
from dolly.serve.server import bind, serve_forever, serving
from dolly.state import State

if TYPE_CHECKING:
    from dolly.pipeline import Context
    from dolly.result import StageResult


def run(context: Context) -> StageResult:
    """Checks that the champion answers over HTTP with the prompt of its training."""
    import httpx

    from dolly.evaluate.stage import held_out_questions
    from dolly.schema import GOLD_EXAMPLES
    from dolly.serve.app import make_app

    config = context.config
    name = config.register_.name
    with context.tracker.stage("serve") as stage:
        model, version = load_registered(name)
        app = make_app(model, name=name, version=version, max_new_tokens=config.serve.max_new_tokens)
        newest = context.tables.version(GOLD_EXAMPLES)
        questions = held_out_questions(context, version=newest, limit=1)
        if not questions:
            raise DataError(
                found=f"no held-out rows of {config.name}", expected="one to ask the server", fix="raise eval_share"
            )
        messages = questions[0].messages
        request = {"messages": messages, "max_tokens": config.evaluate.max_new_tokens, "return_token_ids": True}
        with serving(app, bind(config.serve.host, 0)) as address:
            response = httpx.post(f"{address}/v1/chat/completions", json=request, timeout=120, trust_env=False)
        body = response.json()
        if response.status_code != 200 or body["prompt_token_ids"] != questions[0].prompt_ids:
            raise ModelError(
                found=f"the served {name} answered {response.status_code}: {str(body)[:200]}",
                expected="200 with the prompt ids of training",
                fix="this is a defect of the server: run with --debug",
            )
        answer = body["choices"][0]["message"]["content"]
        stage.tags({"model": name, "version": version, "question": messages[-1]["content"], "answer": answer})
        context.say(f"{name}@{CHAMPION} (version {version}) was asked over HTTP: {messages[-1]['content']}")
        context.say(f"  {answer}")
        return stage.result(ids={"model": name, "version": version})


def serve_champion(config: Config, *, alias: str = CHAMPION) -> None:
    """Serves a registered model until interrupted."""
    from rich.console import Console

    from dolly.serve.app import make_app
    from dolly.tracking import connect

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
