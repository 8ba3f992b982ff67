"""What the tests of lowering share: subjects around small models, and graphs that can be compared."""

from collections import Counter

import torch
from torch import nn

from accelbench.harness.schema.symbolic import SIZES
from accelbench.suites.workloads.lowering import graphs, recording
from accelbench.suites.workloads.lowering.sizes import Sizes
from accelbench.suites.workloads.lowering.subject import Subject


def around(model, *rest, dtype=torch.float32):
    """A subject whose phase "forward" calls a model with inputs of shape (batch, *rest).

    A size "t" among `rest` is that of tokens.
    """

    def call(own, batch, tokens, _context):
        shape = [tokens if size == "t" else size for size in rest]
        return own(torch.empty(batch, *shape, dtype=dtype))

    return Subject("test", lambda: model.to("meta"), {"forward": call})


def trained(model, *rest, optimiser=torch.optim.SGD):
    """The same with a training step on the mean of what the model answers."""

    def loss(own, batch, tokens):
        shape = [tokens if size == "t" else size for size in rest]
        return own(torch.empty(batch, *shape)).mean()

    return Subject(
        "test",
        lambda: model.to("meta"),
        loss=loss,
        optimiser=lambda own: optimiser(own.parameters(), lr=0.1),
    )


def graph(subject, phase="forward", batch=1, tokens=1, context=0):
    """The graph of a subject that nothing is known of yet."""
    return graphs.lower(subject, object(), phase, batch, tokens, context)


def by_numbers(subject, phase, sizes):
    """The graph of sizes that were numbers throughout, recorded from the whole model."""
    with torch.device("meta"):
        model = subject.build()
    whole = Subject(**{**vars(subject), "stacks": ()})
    numbers = Sizes(dict(zip(SIZES, sizes, strict=True)), SIZES, near=False)
    found = recording._recorded(whole, model, phase, numbers)
    return next(own for own in found if own.phase == phase).at(*sizes)


def content(found):
    """A graph's operators with how often each occurs, its edges and parameters.

    Operators that are the same at these sizes are one.
    """
    marks = [tuple((k, v) for k, v in vars(op).items() if k != "count") for op in found.operators]
    counts = Counter()
    for mark, op in zip(marks, found.operators, strict=True):
        counts[mark] += op.count
    return counts, {(marks[one], marks[other]) for one, other in found.edges}, found.parameters


def operator(found, name):
    """The one operator of this name."""
    (own,) = [op for op in found.operators if op.name == name]
    return own


class Doing(nn.Module):
    """A model that does what a function does."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        """What the function makes of it."""
        return self.function(x)
