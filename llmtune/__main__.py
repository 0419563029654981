"""`python -m llmtune COMMAND …`, as `llmtune COMMAND …`."""

from llmtune.cli import main

if __name__ == "__main__":
    main()
