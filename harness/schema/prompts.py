"""What a generating model is asked, and what a recorded trace tells of such a request."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Prompt:
    """A request to a generating model.

    Attributes:
        id: Unique in the trial.
        text: The words.
        tokens: What an engine in this process is given; empty where no tokenizer is known.
        output_tokens: Tokens to generate, exactly.
        request_class: Its class in a mix of several; None where there is one kind of request.
        model: The model of a server that it names; None for that of the workload.
    """

    id: str
    text: str
    tokens: tuple[int, ...]
    output_tokens: int
    request_class: str | None = None
    model: str | None = None


@dataclass(frozen=True)
class Ask:
    """One request of a recorded trace.

    Attributes:
        at_s: When it arrived, seconds from the first; None where the trace has no times.
        input_tokens: Tokens of its prompt; None where only the text is known.
        output_tokens: Tokens of its answer; None where only the text is known.
        text: Its prompt; None where only the length is known.
        answer: Its answer as text, of which only the length is used; None likewise.
        blocks: Ids of the blocks that its prompt is made of, in order; prompts that begin with
            the same ids begin with the same text. Empty where the trace does not tell.
        block_tokens: Tokens in a block but the last; 0 without blocks.
    """

    at_s: float | None
    input_tokens: int | None
    output_tokens: int | None
    text: str | None = None
    answer: str | None = None
    blocks: tuple[int, ...] = ()
    block_tokens: int = 0
