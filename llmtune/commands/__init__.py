"""The bodies of `llmtune COMMAND`, one file each; llmtune/cli.py reads their arguments."""
