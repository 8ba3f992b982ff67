"""Encoders in PyTorch: embeddings and classes of texts, and what is lowered."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModel, BertModel, logging

from accelbench.harness.foreign import foreign
from accelbench.suites.workloads.language.adaptation import Adaptation
from accelbench.suites.workloads.language.language_lesson import adamw
from accelbench.suites.workloads.language.pretrained import Pretrained
from accelbench.suites.workloads.language.trained_weights import put_weights, trained_weights
from accelbench.suites.workloads.lowering.subject import Subject

_TARGETS = ("query", "key", "value", "attention.output.dense")
_STACK = "body.encoder.layer"


class Embedder(nn.Module):
    """Embeds a text: the mean of its last hidden states, of length 1.

    Args:
        body: A BERT.
    """

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """The embedding of each text, shape (batch, hidden).

        Args:
            input_ids: Shape (batch, tokens).
            attention_mask: 1 for a token, 0 for padding, same shape; None where nothing is padded.
        """
        return functional.normalize(_mean(self.body, input_ids, attention_mask), dim=-1)


class TextClassifier(nn.Module):
    """Tells of which class a text is, from the mean of its last hidden states.

    Args:
        body: A BERT.
        classes: How many classes there are.
    """

    def __init__(self, body: Any, classes: int) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Linear(body.config.hidden_size, classes)

    @property
    def blocks(self) -> nn.ModuleList:
        """Its layers, in order."""
        layers: nn.ModuleList = self.body.encoder.layer
        return layers

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """A score for each class, shape (batch, classes).

        Args:
            input_ids: Shape (batch, tokens).
            attention_mask: 1 for a token, 0 for padding, same shape; None where nothing is padded.
        """
        found: Tensor = self.head(_mean(self.body, input_ids, attention_mask))
        return found


def _mean(body: nn.Module, ids: Tensor, mask: Tensor | None) -> Tensor:
    """The mean of the last hidden states over the tokens of each text, shape (batch, hidden)."""
    states: Tensor = body(input_ids=ids, attention_mask=mask).last_hidden_state
    if mask is None:
        return states.mean(dim=1)
    weights = (mask / mask.sum(dim=1, keepdim=True)).to(states.dtype)
    return (states * weights[..., None]).sum(dim=1)


def embedder(config: Any, source: Pretrained | None, seed: int) -> Embedder:
    """An encoder in float32, with the weights of `source` or such as depend on the seed alone.

    Raises:
        ForeignError: The weights cannot be read.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Embedder(_body(config, source))


def classifier(
    config: Any,
    source: Pretrained | None,
    classes: int,
    how: Adaptation,
    weights: Path | None,
    seed: int,
) -> TextClassifier:
    """A classifier in float32, adapted; what is random in it depends on the seed alone.

    Args:
        config: Geometry.
        source: Where the encoder's weights lie; None for random ones.
        classes: How many classes there are.
        how: Which of the encoder's parameters are trained; the head's are in any case.
        weights: A file that a training run of such a model wrote, before or after it was adapted.
        seed: Seed of what is drawn.

    Raises:
        ForeignError: The weights cannot be read.
        TrialError: They are of another model.
    """
    held = trained_weights(weights) if weights is not None else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = TextClassifier(_body(config, source), classes)
        before = held.keys() <= model.state_dict().keys()
        if held and before:
            put_weights(model, held)
        adapted(model, how)
        if held and not before:
            put_weights(model, held)
    return model


def adapted(model: TextClassifier, how: Adaptation) -> TextClassifier:
    """The same model, adapted: its attention, or behind attention and feed-forward layers."""
    width = model.body.config.hidden_size
    done: TextClassifier = how.put_into(model, _TARGETS, {".output": width})
    done.head.requires_grad_(requires_grad=True)
    return done


def on_meta(config: Any, classes: int, how: Adaptation) -> TextClassifier:
    """A classifier without memory for its weights."""
    with torch.device("meta"):
        return adapted(TextClassifier(_body(config, None), classes), how)


def parameter_count(config: Any) -> int:
    """Parameters of an encoder of this geometry."""
    with torch.device("meta"):
        return sum(own.numel() for own in _body(config, None).parameters())


def attention_implementation(config: Any) -> str:
    """Which of transformers' attention functions an encoder of this geometry takes."""
    with torch.device("meta"):
        return str(_body(config, None).config._attn_implementation)  # noqa: SLF001  (no public way)


def embedding_subject(config: Any) -> Subject:
    """What is lowered of an encoder: texts of equal length, so without a mask."""
    return Subject(
        workload="encoder",
        build=lambda: Embedder(_body(config, None)),
        calls={"forward": lambda model, batch, tokens, _context: _called(model, batch, tokens)},
        stacks=(_STACK,),
    )


def classifier_subject(
    config: Any, classes: int, how: Adaptation, learning_rate: float, weight_decay: float
) -> Subject:
    """The same of a classifier, and the parts of a training step."""

    def loss(model: nn.Module, batch: int, tokens: int) -> Tensor:
        truths = torch.empty(batch, dtype=torch.long, device="meta")
        return functional.cross_entropy(_called(model, batch, tokens), truths)

    return Subject(
        workload="encoder_classifier",
        build=lambda: adapted(TextClassifier(_body(config, None), classes), how),
        calls={"forward": lambda model, batch, tokens, _context: _called(model, batch, tokens)},
        loss=loss,
        optimiser=lambda model: adamw(model, learning_rate, weight_decay),
        stacks=(_STACK,),
    )


def _called(model: nn.Module, batch: int, tokens: int) -> Tensor:
    found: Tensor = model(torch.empty(batch, tokens, dtype=torch.long, device="meta"))
    return found


def _body(config: Any, source: Pretrained | None) -> Any:
    if source is None:
        return BertModel._from_config(config)  # noqa: SLF001  (chooses the attention function)
    logging.disable_progress_bar()
    with foreign("loading the weights", where=source.name):
        return AutoModel.from_pretrained(source.folder, dtype=torch.float32, local_files_only=True)
