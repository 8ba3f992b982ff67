"""What a record tells of the prompts of a workload."""

from collections.abc import Mapping

from accelbench.harness.schema.plain import Plain, file_digest
from accelbench.suites.workloads.requests.passages import PASSAGES, passages
from accelbench.suites.workloads.requests.prompt_text import (
    CHARACTERS_PER_RANDOM_TOKEN,
    TOKENS_PER_WORD,
    Wanted,
    Words,
)


def data_facts(wanted: Wanted, *, exact: bool) -> Mapping[str, Plain]:
    """What a reader needs to know of such prompts.

    Args:
        wanted: What they are like.
        exact: Whether a tokenizer counted them.
    """
    shared = wanted.shared_prefix_tokens
    rough = (
        f"about, {TOKENS_PER_WORD} tokens a word"
        if wanted.words == "real"
        else f"about, {CHARACTERS_PER_RANDOM_TOKEN} characters a token"
    )
    return {
        **_source(wanted.words, exact=exact),
        "lengths": {
            "prompt_tokens": wanted.prompt_tokens,
            "prompt_spread": wanted.prompt_spread,
            "output_tokens": wanted.output_tokens,
            "output_spread": wanted.output_spread,
            "counted": "exactly, by the tokenizer" if exact else rough,
        },
        "sharing": {"prefix_tokens": shared, "prefixes": wanted.prefixes} if shared else "none",
    }


def passage_facts() -> Mapping[str, Plain]:
    """What the shipped passages are."""
    return {
        "kind": "real",
        "name": "openings and passages of English classics, public domain",
        "sha256": file_digest(PASSAGES),
        "passages": len(passages()),
        "split": "none: nothing is learned from them",
    }


def _source(words: Words, *, exact: bool) -> Mapping[str, Plain]:
    if words == "real":
        order = "each begins with words of its own and a drawn sentence, and goes on in drawn order"
        return {**passage_facts(), "order": order}
    if not exact:
        return {"kind": "synthetic", "name": "random letters", "generator": "drawn uniformly"}
    how = "token ids drawn uniformly, decoded, and the text read back"
    return {"kind": "synthetic", "name": "random tokens", "generator": how}
