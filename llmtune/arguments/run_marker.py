"""The file that tells a run folder from any other."""

RUN_MARKER = ".llmtune-run"  # tells a run folder, which --overwrite may replace, from any other
