"""An encoder of the BERT architecture that embeds real sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from accelbench.harness.errors import TrialError
from accelbench.harness.schema.opgraph import OpGraph
from accelbench.harness.schema.phases import Phase
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.symbolic import SymbolicGraph
from accelbench.suites.workloads.language import encoder_text, pretrained
from accelbench.suites.workloads.language.encoder_shape import EncoderShape
from accelbench.suites.workloads.language.encoder_text import EmbeddingSamples
from accelbench.suites.workloads.requests.prompt_facts import passage_facts


@dataclass(frozen=True)
class Encoder(EncoderShape):
    """Embeds texts; the whole of a text is processed at once.

    Real weights are checked by the embeddings that are known of them. Of random weights none is
    right, so that no quality is reported.

    Attributes:
        init_seed: Seed of random weights.
    """

    init_seed: int = 0

    def model(self, weights: Path | None, seed: int) -> Any:  # noqa: ARG002  (init_seed decides)
        """The model in float32.

        Raises:
            TrialError: A weights file was given; an encoder takes its weights from `path`.
            ConfigError: `path` is wrong.
            MissingPart: A library is not installed, or the asset was not got yet.
            ForeignError: The weights cannot be read.
        """
        if weights is not None:
            raise TrialError(
                "an encoder takes no weights of another cell",
                remedy="use path, or the builder encoder_classifier",
            )
        config = self.config()
        from accelbench.suites.workloads.language import encoder_network as network  # noqa: PLC0415  (torch)

        return network.embedder(config, self.source(), self.init_seed)

    def facts(self) -> Mapping[str, Plain]:
        """Where weights, tokenizer and texts come from."""
        config, source = self.config(), self.source()
        from accelbench.suites.workloads.language import encoder_network as network  # noqa: PLC0415  (torch)

        lengths = self._lengths()
        return {
            **pretrained.weight_facts(source, f"seed {self.init_seed}"),
            "parameters": network.parameter_count(config),
            "attention": {"implementation": network.attention_implementation(config)},
            "pooling": "mean of the last hidden states over the tokens, divided by its length",
            "references": len(encoder_text.known(source.sha256())) if source else 0,
            "data": {
                **passage_facts(),
                "samples": len(lengths),
                "texts": f"running text of {self.tokens} tokens from the beginning of each sentence"
                if self.padding == "none"
                else f"one sentence each, cut to {self.tokens} tokens",
                "order": "by length" if self.padding == "buckets" else "as in the passages",
                "tokens": {
                    "shortest": min(lengths),
                    "mean": sum(lengths) / len(lengths),
                    "longest": max(lengths),
                },
            },
        }

    def samples(self) -> EmbeddingSamples:
        """The texts.

        Raises:
            ConfigError: `path` is wrong.
            MissingPart: The library that reads the tokenizer is not installed.
        """
        texts, ids = self._texts()
        source = self.source()
        right = {one.text: one for one in encoder_text.known(source.sha256())} if source else {}
        references = {
            place: np.array(right[text].values)
            for place, (text, own) in enumerate(zip(texts, ids, strict=True))
            if text in right and len(own) == right[text].tokens
        }
        return EmbeddingSamples(self.pad().arrays(ids), self.pad(), references)

    def phases(self) -> Sequence[Phase]:
        """The forward pass of texts of so many tokens."""
        return (Phase("forward", tokens=True),)

    def lower(self, phase: str, batch: int, tokens: int, context: int) -> OpGraph:
        """The operator graph of texts of equal length.

        Args:
            phase: "forward".
            batch: Texts.
            tokens: Tokens of each; 1, the size of models without tokens, for the mean of those of
                this workload.
            context: 0: nothing is kept.

        Raises:
            TrialError: It has no such phase.
        """
        config = self.config()
        from accelbench.suites.workloads.language import encoder_network as network  # noqa: PLC0415  (torch)
        from accelbench.suites.workloads.lowering.graphs import lower  # noqa: PLC0415  (torch)

        asked = self._mean_tokens() if tokens == 1 else tokens
        return lower(network.embedding_subject(config), self, phase, batch, asked, context)

    def recordings(self) -> Sequence[SymbolicGraph]:
        """Those that `lower` has made so far."""
        from accelbench.suites.workloads.lowering.graphs import recordings  # noqa: PLC0415  (torch)

        return recordings(self)

    def _texts(self) -> tuple[Sequence[str], list[list[int]]]:
        """The texts and their token ids, in the order of the samples."""
        if self.padding == "none":
            texts = encoder_text.running_texts(self.tokens)
            return texts, self.encoded(texts)
        texts = encoder_text.sentences()
        ids = self.encoded(texts)
        order = self.pad().order(ids)
        return [texts[place] for place in order], [ids[place] for place in order]

    def _lengths(self) -> list[int]:
        return [len(own) for own in self._texts()[1]]

    def _mean_tokens(self) -> int:
        lengths = self._lengths()
        return round(sum(lengths) / len(lengths))
