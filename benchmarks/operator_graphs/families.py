"""Which workloads are counted, at what size, and what has to be so for both sides to do the same."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from accelbench.cli.compose import preset
from accelbench.harness.run import registry
from accelbench.harness.schema.cell import Workload
from accelbench.harness.schema.plain import Plain

TOKENS = 128
"""Tokens of a sequence of the full-size presets."""


@dataclass(frozen=True)
class Case:
    """A workload that is counted.

    Attributes:
        preset: Its name.
        options: Options of the builder that are other than the preset's.
        note: What has been made so for the two sides to have the same shapes.
        batch: Samples or sequences.
        experts: How the model that PyTorch counts computes its experts; "" for its own way.
        dtype: Format of the weights of the model that PyTorch counts; FLOPs do not depend on it.
        of_real_data: Whether the model that PyTorch counts lies in memory and reads the data of the
            workload. Otherwise it is on the `meta` device, and so are its inputs.
    """

    preset: str
    options: Mapping[str, Plain] = field(default_factory=dict)
    note: str = ""
    batch: int = 4
    experts: Literal["", "eager"] = ""
    dtype: Literal["float32", "bfloat16"] = "float32"
    of_real_data: bool = True

    @property
    def name(self) -> str:
        """The preset with what differs from it."""
        told = [f"{key}={value}" for key, value in self.options.items()]
        return ", ".join([self.preset, *told, *([f"experts {self.experts}"] * bool(self.experts))])


_MEAN = "all sequences have the mean number of steps, as the graph has"
_SPARSE = "the graph gathers and adds, whatever the kernel"

SMALL = (
    Case("mlp_wide"),
    Case("mlp_narrow"),
    Case("digits_cnn"),
    Case("resnet_digits"),
    Case("depthwise_digits"),
    Case("vit_digits"),
    Case("early_exit_digits", {"threshold": 2.0}, "no sample leaves early, as in the graph"),
    Case("diffusion_block"),
    Case("lstm_digits", note=_MEAN),
    Case("gru_digits", note=_MEAN),
    Case("lstm_vowels", note=_MEAN),
    Case("gru_vowels", note=_MEAN),
    Case("silero_vad"),
    Case("gnn_generated", {"kernel": "scatter"}, "a pass over the whole graph"),
    Case("gnn_generated", note=_SPARSE),
    Case("gnn_cora", {"kernel": "scatter"}, "a pass over the whole graph"),
    Case("spiking_digits"),
    Case("spiking_digits_dense"),
    Case("spiking_vowels"),
    Case("spiking_vowels_dense"),
    Case("tiny_bert"),
    Case("minilm"),
    Case("bert_kinds"),
    Case("tiny_t5", note="in training answers are as long as prompts, as in the graph"),
    Case("tiny_llama", note="prompts cut to the shortest, so that none is padded"),
    Case("tiny_llama_mha"),
    Case("long_sliding"),
    Case("long_linear"),
    Case("tiny_mixtral"),
    Case("tiny_mixtral", experts="eager", note="its experts one by one, by products that count"),
    Case("tiny_lm"),
    Case("tiny_lm_lora"),
    Case("tiny_lm_adapter"),
    Case("smollm2"),
)
"""Small enough to be run; their weights and data are those of the workload."""

FULL = (
    *(
        Case(name, batch=1, of_real_data=False)
        for name in (
            "resnet50",
            "mobilenet_v1",
            "vit_b16",
            "bert_base",
            "t5_base",
            "llama2_7b",
            "llama2_7b_lora",
            "llama3_8b",
            "llama2_13b",
            "llama2_70b",
        )
    ),
    # On the `meta` device PyTorch groups products of bfloat16 alone.
    Case("mixtral_8x7b", batch=1, dtype="bfloat16", of_real_data=False),
)
"""Those that few machines could run."""


def builder(name: str, options: Mapping[str, Plain]) -> Any:
    """The builder of a preset, with some options other than the preset's.

    Raises:
        UnknownName: There is no such preset.
        ConfigError: There is no such option.
    """
    plain = preset("workload", name)
    apart = {own.name for own in fields(Workload)}
    own = {key: value for key, value in plain.items() if key not in apart}
    kind, family, summary = (plain[key] for key in ("builder", "family", "summary"))
    return registry.builder(Workload(name, kind, family, summary, {**own, **options}))
