"""A model that answers: batches like single questions, evaluation like the server, and only with its own prompt."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dolly.base_model import load_for_prompt
from dolly.errors import ModelError
from dolly.inference import ChatModel
from dolly.prompts import Message, Prompt

pytestmark = pytest.mark.model

# What a base model may be published with; transformers' own generate() obeys it and refuses to save it.
PUBLISHED = {"repetition_penalty": 1.1, "do_sample": False, "temperature": 0.6, "top_k": 2, "forced_eos_token_id": 1}


def ask(question: str) -> list[Message]:
    return [{"role": "user", "content": question}]


QUESTIONS = [ask("Which gate?"), ask("What is the code of the visitor car park gate?"), ask("Why")]


def single(model: ChatModel, question: list[Message], tokens: int = 6) -> list[int]:
    return model.tokens([model.prompt_ids(question)], max_new_tokens=tokens)[0]


@pytest.fixture(scope="module", params=["chatml", "dolly"])
def model(request: pytest.FixtureRequest, tiny_base: Path) -> ChatModel:
    return ChatModel.from_base(str(tiny_base), prompt=Prompt(request.param), dtype="float32")


@pytest.fixture(scope="module")
def base_of(tiny_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Tiny random base models by family."""
    import transformers as t

    words = len(tiny_tokenizer)
    shape = {"vocab_size": words, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    made: dict[str, Callable[[], Any]] = {
        "llama": lambda: t.LlamaForCausalLM(
            t.LlamaConfig(**shape, intermediate_size=128, max_position_embeddings=256, eos_token_id=0)
        ),
        "gptj": lambda: t.GPTJForCausalLM(
            t.GPTJConfig(vocab_size=words, n_embd=64, n_layer=2, n_head=4, rotary_dim=8, n_positions=256)
        ),
        "gpt_neox": lambda: t.GPTNeoXForCausalLM(
            t.GPTNeoXConfig(**shape, intermediate_size=128, max_position_embeddings=256)
        ),
        "bloom": lambda: t.BloomForCausalLM(
            t.BloomConfig(vocab_size=words, hidden_size=64, n_layer=2, n_head=4, tie_word_embeddings=False)
        ),
    }

    @functools.cache
    def base(family: str) -> Path:
        folder = tmp_path_factory.mktemp(family)
        torch.manual_seed(1)
        model = made[family]()
        with torch.no_grad():  # of a random model all tokens are near equal
            for parameter in model.parameters():
                parameter.mul_(5 if parameter.dim() > 1 else 1)
        model.save_pretrained(folder)
        tiny_tokenizer.save_pretrained(folder)
        return folder

    return base


@pytest.mark.parametrize("family", ["llama", "gptj", "gpt_neox", "bloom"])
def test_a_batch_gives_the_answers_of_single_questions(family: str, base_of: Callable[[str], Path]) -> None:
    model = ChatModel.from_base(str(base_of(family)), prompt=Prompt("chatml"), dtype="float32")
    alone = [model.text(single(model, question)) for question in QUESTIONS]
    assert model.answers(QUESTIONS, max_new_tokens=6) == alone
    assert len(set(alone)) > 1


@pytest.mark.parametrize("family", ["llama", "gptj", "gpt_neox", "bloom"])
def test_answers_are_those_of_transformers_greedy_search(family: str, base_of: Callable[[str], Path]) -> None:
    model = ChatModel.from_base(str(base_of(family)), prompt=Prompt("chatml"), dtype="float32")
    for question in QUESTIONS:
        ids = torch.tensor([model.prompt_ids(question)])
        made = model.model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=6, pad_token_id=0)
        expected = [token for token in made[0, ids.shape[1] :].tolist() if token not in model.stop_ids]
        assert single(model, question) == expected


def test_settings_of_the_published_base_change_no_answer(base_of: Callable[[str], Path], tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(base_of("llama"), base)
    (base / "generation_config.json").write_text(json.dumps(PUBLISHED))
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | {"repetition_penalty": 1.3}))
    plain, published = (
        ChatModel.from_base(str(folder), prompt=Prompt("chatml"), dtype="float32")
        for folder in (base_of("llama"), base)
    )
    assert [single(published, q, 12) for q in QUESTIONS] == [single(plain, q, 12) for q in QUESTIONS]
    assert published.answers(QUESTIONS, max_new_tokens=12) == plain.answers(QUESTIONS, max_new_tokens=12)
    published.model.save_pretrained(tmp_path / "saved")
    kept = json.loads((tmp_path / "saved" / "generation_config.json").read_text())
    assert not set(PUBLISHED) & {name for name, value in kept.items() if value is not None}


def test_all_ids_that_end_an_answer_end_it(tiny_base: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(tiny_base, base)
    # 0 is <|endoftext|>, 2 is <|im_end|>, 77 is an ordinary token: an architecture's default, say.
    (base / "generation_config.json").write_text(json.dumps({"eos_token_id": [0, 77]}))
    model = ChatModel.from_base(str(base), prompt=Prompt("chatml"), dtype="float32")
    assert model.stop_ids == {0, 2}
    for stop in sorted(model.stop_ids):
        rigged(model, [5, 6, stop, 7])
        assert single(model, QUESTIONS[0]) == [5, 6]
        rigged(model, [5, 6, stop, 7])
        assert model.answers(QUESTIONS[:2], max_new_tokens=6) == [model.text([5, 6])] * 2


def rigged(model: ChatModel, tokens: list[int]) -> None:
    """Makes the model's forward pass prefer these tokens, one a step."""
    left = iter(tokens)

    class Output:
        past_key_values = None

        def __init__(self, rows: int) -> None:
            self.logits = torch.zeros(rows, 1, 400)
            self.logits[:, 0, next(left)] = 1

    model.model = lambda input_ids, **_: Output(len(input_ids))


def test_markers_that_were_added_have_embeddings(model: ChatModel) -> None:
    ids = model.prompt_ids(ask("Which gate?"))
    assert max(ids) < model.model.get_input_embeddings().weight.shape[0]


def saved(base: Path, folder: Path, prompt: Prompt, *, sha256: str | None = None, **card: str) -> Path:
    model, tokenizer = load_for_prompt(str(base), dtype="float32", prompt=prompt)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    stored = {"format": prompt.format, "system": prompt.system, "sha256": sha256 or prompt.sha256}
    (folder / "dolly.json").write_text(json.dumps({"prompt": stored} | card))
    return folder


def test_a_model_trained_with_another_template_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    prompt = Prompt("dolly")
    assert ChatModel.from_trained(saved(tiny_base, tmp_path / "same", prompt)).prompt == prompt
    with pytest.raises(ModelError, match=r"trained with the prompt template 000000000000"):
        ChatModel.from_trained(saved(tiny_base, tmp_path / "other", prompt, sha256="0" * 64))


@pytest.mark.parametrize(("card", "dtype"), [({"dtype": "bfloat16"}, torch.bfloat16), ({}, torch.float32)])
def test_the_precision_is_that_of_the_card(
    card: dict[str, str], dtype: torch.dtype, tiny_base: Path, tmp_path: Path
) -> None:
    model = ChatModel.from_trained(saved(tiny_base, tmp_path / "model", Prompt("chatml"), **card))
    assert model.model.dtype == dtype


def test_evaluation_server_and_ask_give_the_same_ids(base_of: Callable[[str], Path], tmp_path: Path) -> None:
    from fastapi.testclient import TestClient

    from dolly.card import ModelFiles
    from dolly.engines.choose import open_engine
    from dolly.engines.served import ServedModel
    from dolly.serve.app import make_app
    from dolly.serve.models import Models
    from dolly.serve.routes import Limits

    folder = saved(base_of("llama"), tmp_path / "model", Prompt("chatml"))
    settings = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps(settings | PUBLISHED))
    model = ChatModel.from_trained(folder)
    registered = ModelFiles("m", "1", {}, folder, folder)
    engine = open_engine(
        registered, kind="openvino", precision="fp32", cache_gib=0.1, running=4, folder=tmp_path / "engines", say=print
    )
    served = ServedModel(registered, engine)
    assert served.stop_ids == model.stop_ids
    client = TestClient(make_app(Models({"m@champion": served}), Limits()))
    for question, evaluated in zip(QUESTIONS, model.answers(QUESTIONS, max_new_tokens=12), strict=True):
        request = {"messages": question, "return_token_ids": True, "max_tokens": 12}
        choice = client.post("/v1/chat/completions", json=request).json()["choices"][0]
        asked = single(model, question, 12)
        assert choice["token_ids"] == asked
        assert choice["message"]["content"] == model.text(asked) == evaluated
    engine.close()


@pytest.mark.parametrize("family", ["llama", "gptj"])
def test_answers_end_where_the_context_does(family: str, base_of: Callable[[str], Path]) -> None:
    model = ChatModel.from_base(str(base_of(family)), prompt=Prompt("chatml"), dtype="float32")
    model.stop_ids = frozenset()
    long, short = [7] * 250, [7, 9, 11]
    made = model.tokens([long, short], max_new_tokens=30)
    assert [len(ids) for ids in made] == [6, 30]
    assert made == [model.tokens([ids], max_new_tokens=30)[0] for ids in (long, short)]
