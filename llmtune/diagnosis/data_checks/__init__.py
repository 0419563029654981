"""What would make a result wrong, found in the rows before anything is trained; one kind of flaw a file."""
