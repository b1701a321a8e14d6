"""Makes inner steps of Cairn's model with PyTorch FSDP2, on as many cards or machines as it is started on.

It is arithmetic and nothing else: it is given parameters and sequences, and gives parameters and moments back. Who
starts it trusts none of its numbers. docs/engine-protocol.md is its border.
"""

PROTOCOL = 1
