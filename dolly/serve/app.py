"""The HTTP server: OpenAI's API over the registered models."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI

from dolly.serve.audit import AuditLog
from dolly.serve.failures import add_handlers
from dolly.serve.feedback import FeedbackLog, FeedbackRoute
from dolly.serve.filters import Filters
from dolly.serve.guard import Guard
from dolly.serve.keys import KeyFile
from dolly.serve.models import Models
from dolly.serve.openapi import describe
from dolly.serve.page import add_page
from dolly.serve.paths import add_api
from dolly.serve.routes import Api, Limits


def make_app(
    models: Models,
    limits: Limits,
    *,
    keys: KeyFile | None = None,
    audit: AuditLog | None = None,
    filters: Filters | None = None,
    feedback: FeedbackLog | None = None,
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None,
) -> FastAPI:
    """Builds the server.

    Args:
        models: answer the requests.
        limits: of requests.
        keys: who may use it; None for everyone.
        audit: where requests are written; None for nowhere.
        filters: of questions and answers; None for none.
        feedback: where ratings are stored; None if they are not.
        lifespan: runs beside the server, from its start to its end.
    """
    app = FastAPI(title="dolly", docs_url=None, redoc_url=None, lifespan=lifespan)
    filters = filters or Filters([])
    api = Api(models, limits, audit, filters)
    app.state.api, app.state.end = api, api.end
    opinions = FeedbackRoute(feedback, models, filters, body_bytes=limits.body_bytes)
    add_api(app, api, feedback=opinions.give_feedback)
    add_page(app, feedback=feedback is not None, new_tokens=limits.new_tokens)
    add_handlers(app)
    if keys:
        app.add_middleware(Guard, keys=keys, per_minute=limits.requests_per_minute)
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    return app
