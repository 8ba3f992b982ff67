"""What builders say that they lower, held against what they do lower."""

import subprocess
import sys

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from accelbench.harness.errors import TrialError
from accelbench.harness.schema.phases import TRAINING
from accelbench.suites.workloads.classifiers.cnn_residual import ResNet
from accelbench.suites.workloads.classifiers.mlp import Mlp
from accelbench.suites.workloads.kernels import Kernels
from accelbench.suites.workloads.language.decoder import Decoder
from accelbench.suites.workloads.language.encoder import Encoder
from accelbench.suites.workloads.language.encoder_classifier import (
    EncoderClassifier,
)
from accelbench.suites.workloads.language.encoder_decoder import (
    EncoderDecoder,
)
from accelbench.suites.workloads.language.language_model import (
    LanguageModel,
)
from accelbench.suites.workloads.requests.served import Served

pytestmark = pytest.mark.torch

EVERY = ("forward", "prefill", "decode", *TRAINING)
WIDTHS = {"hidden": 8, "heads": 2, "intermediate": 8}
BUILDERS = (
    Mlp(width=4),
    ResNet(width=4, stages=(1,), fold_norm=True),
    Kernels(),
    Encoder(**WIDTHS, layers=1),
    EncoderClassifier(**WIDTHS, layers=1),
    LanguageModel(**WIDTHS, layers=1),
    EncoderDecoder(**WIDTHS, encoder_layers=1, decoder_layers=1),
    Decoder(**WIDTHS, layers=1),
    Served(),
)


@pytest.mark.parametrize("builder", BUILDERS, ids=lambda own: type(own).__name__)
def test_a_builder_lowers_what_it_names_and_by_the_sizes_that_it_names(builder):
    """Of six phases each is named or refused; the optimiser steps parameters and no tokens."""
    lowered = {}
    for name in EVERY:
        try:
            first, *others = (builder.lower(name, 2, *sizes) for sizes in ((3, 4), (5, 4), (3, 9)))
        except TrialError:
            continue
        lowered[name] = tuple(own.operators != first.operators for own in others)
    phases = builder.phases()
    assert [own.name for own in phases] == list(lowered)
    for own in phases:
        stepped = own.name == "train.optimizer"
        assert lowered[own.name] == (own.tokens and not stepped, own.context)


def test_naming_phases_needs_no_engine():
    """A decoder and a classifier, in a process of their own."""
    code = (
        "import sys; from accelbench.suites.workloads.language.decoder import Decoder; "
        "from accelbench.suites.workloads.classifiers.mlp import Mlp; "
        "print(len(Decoder().phases()), len(Mlp().phases()), 'torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "5 4 False\n"
