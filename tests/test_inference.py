"""A model that answers: batches like single questions, and only with the prompt it was trained with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dolly.errors import ModelError
from dolly.inference import ChatModel
from dolly.prompts import Message, Prompt

pytestmark = pytest.mark.model


def ask(question: str) -> list[Message]:
    return [{"role": "user", "content": question}]


@pytest.fixture(scope="module", params=["chatml", "dolly"])
def model(request: pytest.FixtureRequest, tiny_base: Path) -> ChatModel:
    return ChatModel.from_base(str(tiny_base), prompt=Prompt(request.param), dtype="float32")


def test_a_batch_gives_the_answers_of_single_questions(model: ChatModel) -> None:
    questions = [ask("Which gate?"), ask("What is the code of the visitor car park gate?"), ask("Why")]
    single = []
    for question in questions:
        ids = model.generate(model.prompt_ids(question), max_new_tokens=6, temperature=0, top_p=1, seed=None)
        single.append(model.text(list(ids)))
    assert model.answers(questions, max_new_tokens=6) == single


def test_markers_that_were_added_have_embeddings(model: ChatModel) -> None:
    ids = model.prompt_ids(ask("Which gate?"))
    assert max(ids) < model.model.get_input_embeddings().weight.shape[0]


def saved(model: ChatModel, folder: Path, prompt: Prompt, sha256: str) -> Path:
    model.model.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    card = {"prompt": {"format": prompt.format, "system": prompt.system, "sha256": sha256}}
    (folder / "dolly.json").write_text(json.dumps(card))
    return folder


def test_a_model_trained_with_another_template_is_refused(model: ChatModel, tmp_path: Path) -> None:
    folder = saved(model, tmp_path / "model", model.prompt, model.prompt.sha256)
    assert ChatModel.from_trained(folder).prompt == model.prompt
    shutil.rmtree(folder)
    folder = saved(model, tmp_path / "model", model.prompt, "0" * 64)
    with pytest.raises(ModelError, match=r"trained with the prompt template 000000000000"):
        ChatModel.from_trained(folder)
