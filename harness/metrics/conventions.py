"""How what the survey leaves open is counted; every record of ours says so.

The keys are the gaps of the survey's checklist (GAP-08 to GAP-14) that change a number. A trace
keeps raw events, so that another convention can be computed from it.
"""

from collections.abc import Mapping
from types import MappingProxyType

CONVENTIONS: Mapping[str, str] = MappingProxyType(
    {
        "GAP-08": "requests that fail, time out, are cancelled or are never sent stay in the"
        " denominators of attainment and of the checks; latency percentiles are given over completed"
        " requests and, named censored, over all with +infinity for each that is not ok",
        "GAP-09": "times are stamped by the side that the trace was recorded on, when a chunk"
        " arrived; the tokens of a chunk share its time, so that gaps within it are 0",
        "GAP-10": "latency takes requests due in the closed window, rates take tokens that arrived"
        " and requests that were done in it, energy a token takes tokens of requests done in it",
        "GAP-11": "cached prompt tokens count in L_in and in the computed form do not; output"
        " tokens are those emitted, reasoning ones too, drafts that were rejected never",
        "GAP-12": "FLOPs are those of the model (matrix products, convolutions, attention; two for"
        " a multiply-add), without padding and recomputation; hardware FLOPs stand apart under"
        " their own name where they are told",
        "GAP-13": "scaling is strong unless its name says weak; where one device cannot do the work"
        " the smallest number that can is the base and is named",
        "GAP-14": "keys and values are counted by eq. 15 in whole blocks, with sliding windows,"
        " replication beyond the number of KV heads, and quantisation scales where the layout"
        " tells them",
    }
)
