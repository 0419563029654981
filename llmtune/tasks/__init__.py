"""What a task is stands in `task.py`. A problem type is a folder with arguments.py, rows.py and task.py.

A variant of one, with other words, metrics and defaults, is a file here.
"""
