"""Prompts of asked lengths."""

from collections import Counter
from itertools import pairwise, takewhile
from statistics import mean

import pytest

from accelbench.harness.errors import ConfigError
from accelbench.harness.schema.prompts import Ask
from accelbench.suites.workloads.language.export import CHARACTER_CODEC
from accelbench.suites.workloads.requests import passages, prompt_facts
from accelbench.suites.workloads.requests.prompt_text import Codec, Wanted, prompts, prompts_for


def wanted(**options):
    """128 tokens of real words, 64 in answer, but for what is given."""
    usual = {"words": "real", "prompt_tokens": 128, "prompt_spread": 0.0}
    usual |= {"output_tokens": 64, "output_spread": 0.0, "shared_prefix_tokens": 0, "prefixes": 1}
    return Wanted(**usual | options)


@pytest.fixture(scope="module")
def subwords():
    """A tokenizer of bytes and their merges, trained on the passages, that begins with <s>."""
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=600, special_tokens=["<s>"], initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(passages.passages(), trainer)
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    return Codec(
        encode=lambda text: made.encode(text).ids,
        decode=lambda ids: made.decode(list(ids), skip_special_tokens=True),
        plain=range(1, made.get_vocab_size()),
    )


def alike(one, other):
    """How many items two sequences begin with alike."""
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def most_alike(texts):
    """The longest beginning, in characters, that any two texts have in common."""
    return max(alike(*pair) for pair in pairwise(sorted(texts)))


@pytest.mark.parametrize("words", ["real", "random"])
@pytest.mark.parametrize("tokens", [1, 2, 7, 128, 700])
def test_lengths_are_exact_and_ids_are_those_of_the_text(subwords, words, tokens):
    """A server that is sent the text counts what an engine in process is given."""
    for prompt in prompts(wanted(words=words, prompt_tokens=tokens), subwords, 12, 5):
        assert len(prompt.tokens) == tokens
        assert prompt.tokens == tuple(subwords.encode(prompt.text))
        assert prompt.output_tokens == 64


def test_the_first_prompts_are_the_same_however_many_are_asked(subwords):
    """And depend on the seed alone."""
    few, many, other = (
        prompts(wanted(prompt_spread=0.2), subwords, count, seed)
        for count, seed in ((5, 1), (30, 1), (5, 2))
    )
    assert few == many[:5]
    assert not {prompt.text for prompt in few} & {prompt.text for prompt in other}


def test_no_two_prompts_share_a_block_of_16_tokens():
    """So many characters differ, whatever the tokenizer; a prefix cache has nothing to give."""
    made = prompts(wanted(), CHARACTER_CODEC, 3000, 7)
    assert most_alike(prompt.text for prompt in made) < passages.APART
    numbers = (*range(0, passages.pairs(), 997), passages.pairs() - 1)
    openings = [passages._opening("key", number) for number in numbers]
    assert most_alike(openings) < passages.APART


def test_trials_of_other_seeds_hardly_ever_share_a_beginning():
    """A server that stays up answers the next trial from nothing it has seen."""
    texts = [prompt.text for seed in range(4) for prompt in prompts(wanted(), None, 500, seed)]
    begun = Counter(text[:24] for text in texts)
    assert sum(count - 1 for count in begun.values()) <= 4


def test_real_words_are_those_of_the_passages():
    """A prompt begins with two words of its own, then at a sentence, and runs on in the text."""
    known = " ".join(passages.passages())
    for prompt in prompts(wanted(prompt_tokens=40), CHARACTER_CODEC, 50, 0):
        opening, _, text = prompt.text.partition(": ")
        assert all(word in known for word in opening.lower().split(", "))
        assert text in known


def test_a_long_prompt_goes_on_through_passages_in_a_drawn_order():
    """Past all passages they come again, in another order."""
    (prompt,) = prompts(wanted(prompt_tokens=60_000), CHARACTER_CODEC, 1, 0)
    came = [text for text in passages.passages() if text in prompt.text]
    assert len(came) >= 55
    places = [prompt.text.index(text) for text in came]
    assert places != sorted(places)
    assert sum(prompt.text.count(text) > 1 for text in came) > 40


def test_a_spread_is_uniform_about_the_mean_that_was_asked():
    """Neither one-sided nor shifted: the mean stays, and both ends come."""
    made = prompts(wanted(prompt_spread=0.25, output_spread=0.5), CHARACTER_CODEC, 4000, 11)
    inputs = [len(prompt.tokens) for prompt in made]
    outputs = [prompt.output_tokens for prompt in made]
    assert (min(inputs), max(inputs)) == (96, 160)
    assert (min(outputs), max(outputs)) == (32, 96)
    assert mean(inputs) == pytest.approx(128, abs=1)
    assert mean(outputs) == pytest.approx(64, abs=1)


def test_shared_beginnings_are_dealt_evenly_and_counted_in_the_length(subwords):
    """Of 30 prompts each of three beginnings has ten; behind it all differ at once."""
    made = prompts(wanted(shared_prefix_tokens=48, prefixes=3), subwords, 30, 2)
    assert {len(prompt.tokens) for prompt in made} == {128}
    assert sorted(Counter(prompt.tokens[:48] for prompt in made).values()) == [10, 10, 10]
    assert len({prompt.tokens[48:60] for prompt in made}) == 30
    heads = [prompt.tokens[1:8] for prompt in made]
    assert len(set(heads)) == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"prompt_tokens": 0}, "above 0"),
        ({"prefixes": 0}, "above 0"),
        ({"prompt_spread": 1.0}, "below 1"),
        ({"output_spread": -0.1}, "at least 0"),
        ({"shared_prefix_tokens": 128}, "below the shortest prompt, 128 tokens"),
        ({"shared_prefix_tokens": 64, "prompt_spread": 0.5}, "shortest prompt, 64 tokens"),
    ],
)
def test_what_cannot_be_is_refused(options, said):
    """The message names the fields."""
    with pytest.raises(ValueError, match=said):
        wanted(**options)


def test_without_a_tokenizer_lengths_are_about_and_there_are_no_ids():
    """Words stand for tokens at the stated ratio, letters where they are random."""
    real = prompts(wanted(prompt_tokens=130), None, 5, 0)
    assert all(prompt.tokens == () for prompt in real)
    assert {len(prompt.text.split()) for prompt in real} == {100}
    random = prompts(wanted(words="random", prompt_tokens=100), None, 5, 0)
    assert {len(prompt.text) for prompt in random} == {180}
    assert len({prompt.text[:12] for prompt in random}) == 5
    headed = prompts(wanted(prompt_tokens=130, shared_prefix_tokens=26), None, 5, 0)
    assert {len(prompt.text.split()) for prompt in headed} == {100}
    assert len({" ".join(prompt.text.split()[:20]) for prompt in headed}) == 1


def test_a_tokenizer_that_cuts_is_told_in_one_line():
    """Where no text has the tokens asked, nothing shorter is passed off for it."""
    cutting = Codec(lambda text: list(text.encode())[:50], lambda ids: bytes(ids).decode(), [65])
    with pytest.raises(ConfigError, match="exactly 60 tokens"):
        prompts(wanted(prompt_tokens=60), cutting, 1, 0)


def test_lengths_of_a_recording_are_kept_to_the_token(subwords):
    """Each request its own text, of the recorded length."""
    asks = [Ask(float(n), 20 + 13 * n, 3 + n) for n in range(12)]
    made = prompts_for(asks, wanted(), subwords, 4)
    assert [len(prompt.tokens) for prompt in made] == [ask.input_tokens for ask in asks]
    assert [prompt.output_tokens for prompt in made] == [ask.output_tokens for ask in asks]
    assert most_alike(prompt.text for prompt in made) < passages.APART
    assert made == prompts_for(asks, wanted(), subwords, 4)


@pytest.mark.parametrize("words", ["real", "random"])
@pytest.mark.parametrize("codec", ["subwords", "characters"])
def test_equal_blocks_make_equal_beginnings_and_others_differ_at_once(words, codec, request):
    """Sharing is that of the recording, block by block, and total lengths are exact."""
    tokenizer = request.getfixturevalue("subwords") if codec == "subwords" else CHARACTER_CODEC
    rows = [((1, 2, 3, 4), 200), ((1, 2, 3), 192), ((1, 2, 9, 4), 256), ((7, 2), 65), ((1,), 64)]
    asks = [Ask(0.0, size, 5, blocks=blocks, block_tokens=64) for blocks, size in rows]
    made = prompts_for(asks, wanted(words=words), tokenizer, 0)
    assert [len(prompt.tokens) for prompt in made] == [size for _, size in rows]
    assert [alike(made[0].tokens, other.tokens) for other in made[:3]] == [
        200,
        pytest.approx(192, abs=2),
        pytest.approx(128, abs=passages.APART),
    ]
    assert alike(made[0].tokens, made[3].tokens) < passages.APART
    assert alike(made[0].tokens, made[4].tokens) == pytest.approx(64, abs=2)


def test_a_block_s_text_is_the_same_in_every_trace_of_a_seed():
    """It depends on seed and id alone, not on the requests around it."""
    ask = Ask(0.0, 128, 5, blocks=(5, 6), block_tokens=64)
    others = [Ask(0.0, 64, 5, blocks=(8,), block_tokens=64), ask]
    (alone,) = prompts_for([ask], wanted(), CHARACTER_CODEC, 3)
    assert prompts_for(others, wanted(), CHARACTER_CODEC, 3)[1].text == alone.text
    (other,) = prompts_for([ask], wanted(), CHARACTER_CODEC, 4)
    assert other.text[:16] != alone.text[:16]


def test_ids_of_blocks_may_be_any_whole_numbers():
    """Hashes of 64 bits, and negative ones, have openings of their own."""
    ids = (0, -1, 2**40, 2**64 - 2, 913_937)
    assert len({passages._opening("key", number) for number in ids}) == len(ids)


def test_recorded_texts_are_kept_and_answers_counted(subwords):
    """By the tokenizer, without the mark that it puts before a text; about without one."""
    ask = Ask(None, None, None, text="What is in a name?", answer="Nothing that we call a rose.")
    (made,) = prompts_for([ask], wanted(), subwords, 0)
    assert made.text == ask.text
    assert made.tokens == tuple(subwords.encode(ask.text))
    assert made.output_tokens == len(subwords.encode(ask.answer)) - 1
    (about,) = prompts_for([ask], wanted(), None, 0)
    assert (about.text, about.tokens, about.output_tokens) == (ask.text, (), 8)


def test_recorded_texts_that_are_too_long_lose_their_end(subwords):
    """Prompt and answer together are what the model takes, and the beginning stays."""
    text = passages.passages()[0]
    ask = Ask(None, None, None, text=text, answer="Yes, it is.")
    for codec in (subwords, None):
        (made,) = prompts_for([ask], wanted(longest=40), codec, 0)
        assert text.startswith(made.text)
        assert made.text != text
    (made,) = prompts_for([ask], wanted(longest=40), subwords, 0)
    assert len(made.tokens) + made.output_tokens == 40


def test_cutting_shortens_prompts_first_and_leaves_a_token_of_each():
    """An answer is cut only where it alone is too long."""
    asks = [Ask(0.0, 90, 20), Ask(0.0, 10, 500), Ask(0.0, 50, 50)]
    made = prompts_for(asks, wanted(longest=100), CHARACTER_CODEC, 0)
    assert [(len(p.tokens), p.output_tokens) for p in made] == [(80, 20), (1, 99), (50, 50)]


def test_facts_tell_real_from_random_and_exact_from_about():
    """Random tokens are synthetic, and no rough count is passed off as exact."""
    exact = prompt_facts.data_facts(wanted(shared_prefix_tokens=8, prefixes=2), exact=True)
    assert exact["kind"] == "real"
    assert exact["lengths"]["counted"] == "exactly, by the tokenizer"
    assert exact["sharing"] == {"prefix_tokens": 8, "prefixes": 2}
    rough = prompt_facts.data_facts(wanted(words="random"), exact=False)
    assert (rough["kind"], rough["name"]) == ("synthetic", "random letters")
    assert rough["lengths"]["counted"].startswith("about")
    assert rough["sharing"] == "none"
    assert "sha256" not in rough


def test_an_answer_is_counted_without_what_a_tokenizer_puts_around_it():
    """A mark of the beginning is none of its tokens."""
    marked = Codec(lambda text: [0, *map(ord, text)], lambda _ids: "", range(256))
    assert marked.count("word") == 4
    assert marked.count("") == 0
