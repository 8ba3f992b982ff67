"""Models that read and write text."""

from accelbench.harness.quiet import quiet_torchao

quiet_torchao()
