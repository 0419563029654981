"""A reader of stdout that leaves ends nothing, and lines arrive as they are printed."""

import io
import os
import sys

from llmtune.closed_pipe import closable_stdout


def test_what_is_printed_after_the_reader_left_goes_nowhere(monkeypatch):
    reading, writing = os.pipe()
    monkeypatch.setattr(sys, "stdout", os.fdopen(writing, "w"))

    with closable_stdout():
        print("first")
        assert os.read(reading, 100) == b"first\n"  # though no terminal
        os.close(reading)
        for number in range(3):
            print("lost", number)
        after = "goes on"

    assert after
    sys.stdout.close()  # its buffer is written without an error


def test_stdout_is_the_one_before_after_the_command(monkeypatch):
    before = io.StringIO()
    monkeypatch.setattr(sys, "stdout", before)

    with closable_stdout():
        print("seen")
        assert not sys.stdout.isatty()

    assert sys.stdout is before
    assert before.getvalue() == "seen\n"
