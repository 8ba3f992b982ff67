"""Geometries of decoders: which architecture each makes, and what is refused."""

import pytest

from accelbench.suites.workloads.language.shape import Shape

SIZES = {
    "hidden": 64, "layers": 2, "heads": 4, "kv_heads": 2, "intermediate": 96, "vocab": 256,
    "max_positions": 128,
}  # fmt: skip


@pytest.mark.torch
@pytest.mark.parametrize(
    ("options", "architecture"),
    [
        ({}, "llama"),
        ({"attention": "sliding", "window": 8}, "mistral"),
        ({"experts": 4}, "mixtral"),
        ({"attention": "linear", "kv_heads": 4}, "linear_decoder"),
    ],
)
def test_options_name_the_architecture(options, architecture):
    """Sizes are the same in each; a window goes with experts too."""
    pytest.importorskip("transformers")
    config = Shape(**SIZES | options).config()
    assert config.model_type == architecture
    assert (config.hidden_size, config.num_hidden_layers, config.vocab_size) == (64, 2, 256)
    both = Shape(**SIZES, attention="sliding", window=8, experts=4).config()
    assert (both.model_type, both.sliding_window) == ("mixtral", 8)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"layers": 0}, "above 0"),
        ({"hidden": 36}, "multiple of 2"),
        ({"kv_heads": 3}, "heads one of kv_heads"),
        ({"window": 8}, "belongs to attention=sliding"),
        ({"attention": "sliding"}, "needs one"),
        ({"attention": "sliding", "window": 0}, "at least 1"),
        ({"attention": "linear"}, "kv_heads=heads"),
        ({"attention": "linear", "kv_heads": 4, "experts": 2}, "no experts"),
        ({"experts": 2, "experts_per_token": 3}, "between 1 and experts"),
        ({"capacity": 1.0}, "needs experts"),
        ({"experts": 4, "capacity": 0.0}, "above 0"),
    ],
)
def test_a_geometry_that_cannot_be_is_refused(options, said):
    """The message names the fields."""
    with pytest.raises(ValueError, match=said):
        Shape(**SIZES | options)
